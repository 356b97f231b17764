"""Settled chunks: spans of a table that were read once, and answer every page, poll and tail that falls into them.

A store that bills what a query reads makes each page dear: a page of a thousand rows costs as much as one of a million.
So one query reads all columns of a span, and they are kept. A chunk is settled, so it never changes. Losing one
costs a query and changes no answer.

source      the QueryRunner that answers from chunks, or passes a query on
reader      one query: the chunks at hand, a few that are read for it, and the rest by the store
table       the chunks of one table, those being read included: each is read once, however many ask for it
shelf       the chunks at hand of all tables, within a budget of bytes
shared      chunks that other instances have read, in a Valkey
keys        the keys of the rows read last, by which copies are told without the look-back. Pure
chunk       the rows of a span, as bytes, in blocks
plan        which span to read, and which queries chunks suit. Pure
matching    the conditions of a query, evaluated in Python. Pure
"""
