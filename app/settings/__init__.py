"""Configuration, read once from the environment: `sluice settings` prints every setting.

load                                              Settings, by room, how they are read, and which disagree
store, ingest, query, auth, telemetry, server     the rooms
fields                                            their base, which masks secrets, and types of their values
"""
