"""`sluice smoke`: send one record through a running service and check every step.

- command.py: the options, and the report
- journey.py: the record, from the service's own example with a unique id, and the steps; the first failure ends the run
"""
