"""The fuzz run: unexpected requests to a real service, and oracles that need no expected answer.

case      one request as data that a file can hold, and how it is made into bytes for a service
wire      send bytes, read an answer
oracle    what every answer must be, whatever was asked: pure
target    the service, its callers, and what is checked around each request
bodies    strategies of payloads: records, arrays, lines, gzip, envelopes
requests  strategies of requests: pushes, submissions, queries, cursors, spoilt tokens
run       draw, check, shrink, keep
corpus    cases that were found once, each a file: run as tests
"""
