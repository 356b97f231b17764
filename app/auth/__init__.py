"""Who may use `/v1`, for what, and how often.

    Authorization header → guard.py: a Google-signed token (app/auth/tokens.py) or an API key (api_keys.py)
                         → grants.py: the Principal of that token or key; grants_file.py reloads the grants
                         → guard.py again: the scope (opt["scope"]) and the rate limit (rate_limit.py)
                         → `connection.state.principal`, for the handlers

Without principals and grants, every caller on the loopback interface is admitted. docs/access.md is the guide for
operators and callers.
"""
