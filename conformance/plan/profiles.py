"""How much of a plan is run."""

PROFILES = ("quick", "default", "night")
