"""Configuration, read once from the environment: `python -m app.settings` prints every setting.

load                                                 Settings, and how they are read
connections, messages, secrets, store, telemetry     parts of Settings, by subject
rules                                                consistency checks between settings
__main__                                             all settings as a table, for docs/settings.md
"""
