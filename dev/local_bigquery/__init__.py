"""A BigQuery on this machine: PyPI's local-bigquery, installed, run and given tables.

It speaks BigQuery's REST and gRPC APIs over DuckDB, and nobody here wrote it. It needs a newer Python than the
service and a DuckDB of its own, so it lives in an environment of its own, .local-bigquery/, and runs as a process.

requirements.in, overrides.txt ──(make local-bigquery-lock)──> requirements.txt, pinned and hashed
install.py    .local-bigquery/ holds what requirements.txt says
process.py    one running local-bigquery, which never outlives whoever started it
provision.py  the dataset and its tables, from the declaration: what Terraform does in the cloud
command.py    `python -m dev bigquery`, `make local-bigquery`
"""
