"""The processes that run implementations and judges, and how they end."""
