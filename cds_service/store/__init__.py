"""What outlives a call: the only room that knows SQL."""
