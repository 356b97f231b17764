"""A BigQuery on this machine: PyPI's local-bigquery, installed, run and provisioned with tables.

It is a third-party package that implements BigQuery's REST and gRPC APIs over DuckDB. It needs a newer Python than the
service and its own DuckDB. So it lives in its own environment, .local-bigquery/, and runs as its own process.

requirements.in, overrides.txt ──(make local-bigquery-lock)──> requirements.txt, pinned and hashed
install.py    installs requirements.txt into .local-bigquery/
process.py    one running local-bigquery, which never outlives its parent
provision.py  the dataset and its tables, from the declaration: what Terraform does in the cloud
"""
