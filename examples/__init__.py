"""Data sets and record types to try the service with."""
