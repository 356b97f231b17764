"""What all HTTP routes share: problem documents, headers, and responses paced by their clients.

problems                     errors as problem documents (RFC 9457), and the catalogue of their codes
contract                     what a documented route promises, as data; app.openapi makes the document from it
paths, reading               paths that several packages use; GET and HEAD
conditional                  entity tags, and how long a client may reuse a response
assets, static_page          static files of the pages; a page with its files
cors                         which pages of other origins may call
pieces                       large bodies in pieces, as fast as their clients read
framing                      headers of every request and response
unread_bodies                the rest of the bodies of requests that were answered early
cut_responses                why a response stops before its end
"""
