"""The API as requests and responses, without input and output: the blocking and the async client share it.

requests     a feed, and the request for each of its endpoints
effects      what a protocol asks of its driver: send, open, read, pause; and what it hands out
problems     problem documents
rate_limit   the headers that say when to ask again
retry        whether to ask again, and when
pages        pages, window by window and without end
tails        server-sent events, and reconnecting
exports      a whole window in one response, complete or not at all
publishing   sending records, in parts, each with its Idempotency-Key
schema       the columns of a feed, and rows of its records
"""
