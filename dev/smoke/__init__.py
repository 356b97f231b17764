"""`python -m dev smoke`: one record through a running service, and what it says on the way.

- command.py: what it is told, and the report
- check.py: the steps, each of which ends the run when it fails
- record.py: the record, of the service's own example, with an id that is nobody else's
- senders.py: the two ways in
- client.py: HTTP, and what each failure means
- token.py: who calls
"""
