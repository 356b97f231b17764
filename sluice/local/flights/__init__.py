"""Every flight scheduled to leave New York in January 2013: real data, and the record types that describe it."""
