"""Mutation testing of the core modules, each by its own tests: `make mutants`."""
