"""`sluice smoke`: send one record through a running service and check every step.

- command.py: the options, and the report
- journey.py: the steps; the first failure ends the run
- record.py: the record, from the service's own example, with a unique id
"""
