"""The command `sluice`: what it says, what it makes, and that a wheel holds all of it."""
