"""The documentation's site: `make docs` builds it, and these tests look at what it is built from."""
