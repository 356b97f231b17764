"""`make test-cloud`: the contract suite and the append tests over BigQuery itself, in datasets that are thrown away.

- __main__.py: says what it may cost, asks, sweeps, runs pytest, cleans up
- bound.py: the cost, and the number of queries that a run may make
- plugin.py: pytest's part: which tests, and the end of a run that reaches its bound
"""
