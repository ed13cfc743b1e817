"""Before go-live: runs the guidelines over a hospital's history, and compares two versions of a guideline."""
