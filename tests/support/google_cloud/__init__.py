"""Google's REST APIs, as far as a deployment is asked about: a project's state, served on this machine.

- project.py: the state of a healthy project, in the shapes that Google documents; a test changes what it likes
- server.py: serves that state; the host of an API is the first part of the path
- pubsub.py: topics, subscriptions and feeds of streams that share a topic by filters

Rows and queries go to local-bigquery, published messages otherwise to `sluice pubsub`.
"""
