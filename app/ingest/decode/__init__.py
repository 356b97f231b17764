"""Bytes become rows: open the envelope, split the payload, decode and validate each record.

envelope      a request -> Message (wrapped or unwrapped)
proof         attributes that affect what readers see, and their signatures
reader        Message -> rows and rejects, on the event loop or in the worker process
weight        what is light enough for the event loop
splitting     the bytes of each record (app.runtime.compression: gzip, with a limit)
versions      which version a record is, and how it becomes the newest
faults        every error of a record, after its decoder gave the first
hints         a guess at the format of a payload that is not JSON
rejects       what could not be stored, as rows
scrubbing     rejects without personal data
undeclared    counts of members that the record type does not declare
heavy         the worker process, from the service's side; `worker` is the other side, `protocol` what they say

All but `heavy` and `worker` are pure.
"""
