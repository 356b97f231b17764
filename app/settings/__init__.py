"""Configuration, read once from the environment: `sluice settings` prints every setting.

load                                              Settings, by room, and how they are read
store, ingest, query, auth, telemetry, server     the rooms
fields                                            their base, which masks secrets, and types of their values
rules                                             why a value, or several together, cannot be
__main__                                          all settings as tables, for docs/settings.md
"""
