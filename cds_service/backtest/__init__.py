"""Before go-live: what the guidelines would have said about a hospital's history, and what a change would change."""
