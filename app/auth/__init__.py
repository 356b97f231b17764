"""Who may use `/v1`, for what, how often, and at what cost.

    Authorization header → guard.py: a Google-signed token (app/auth/tokens.py) or an API key
                         → grants.py: the Principal of that token or key; grants_file.py reloads the grants
                         → guard.py again: the scope (opt["scope"]), the rate limit and the budget of billed bytes
                           (limits.py), and a free slot (read_slots.py)
                         → `connection.state.principal`, for the handlers

signatures.py: what signed attributes of a message may do, which any publisher can set.

Without principals and grants, every caller on the loopback interface is admitted. docs/access.md is the guide for
operators and callers.
"""
