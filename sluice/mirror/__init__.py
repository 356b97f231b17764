"""A mirror: an embedded store that another Sluice fills, over its own API.

backend   opens it: the backend `mirror` of the service
store     the file: rows, erasures and how far the source was read change in one transaction
follower  reads one stream of the source without end: exports first, then pages
source    the source as a mirror reads it, and whether its records are those declared here
"""
