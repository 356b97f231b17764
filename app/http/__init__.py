"""What all HTTP routes share: problem documents, headers, and responses paced by their clients.

problems                     errors as problem documents (RFC 9457), and the catalogue of their codes
contract                     what a documented route promises, as data; app.openapi makes the document from it
endpoint                     an endpoint as data, and its routes for one stream or for all
paths                        paths that several packages use
reading                      GET and HEAD: entity tags, and how long a client may reuse a response
assets                       the pages and their static files
headers                      headers of every request and response; which pages of other origins may call
bodies                       large bodies in pieces, the unread rest of requests, why a response was cut short
"""
