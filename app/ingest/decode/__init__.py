"""Bytes become rows: open the envelope, split the payload, decode and validate each record.

envelope      a request -> Message (wrapped or unwrapped)
reader        Message -> rows and rejects, on the event loop or in the worker process
payload       what is light enough for the event loop, the bytes of each record, and hints at what cannot be read
versions      which version a record is, and how it becomes the newest
faults        every error of a record, after its decoder gave the first
rejects       what could not be stored, as rows without personal data
heavy         the worker process, from the service's side; `worker` is the other side

All but `heavy` and `worker` are pure.
"""
