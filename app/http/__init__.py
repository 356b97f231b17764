"""What all HTTP routes share: problem documents, headers, answers at the pace of their clients, and connections.

problems                     errors as problem documents (RFC 9457), and the catalogue of their codes
paths, reading               the paths that several rooms know; GET and HEAD
conditional                  entity tags, and for how long a copy of an answer is good
assets, response_headers     files of pages; what every answer carries
cors                         which pages of other origins may call
framing, unread              what a request's headers say of its form; the rest of bodies that were answered early
outgoing                     answers in pieces, charged to a ledger
connection_watch             room for new connections: `sockets` (what the system knows), `shedding` (which to close)
"""
