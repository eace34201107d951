"""How checks, implementations and cases are brought together, and what is kept of it."""
