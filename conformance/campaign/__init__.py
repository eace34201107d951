"""A plan tried on implementations, and the findings that come of it."""
