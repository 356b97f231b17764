"""Bytes become rows: open the envelope, split the payload, decode and validate each record. Pure."""
