"""The write side: group commit, refusals, late rows, the health of a table."""
