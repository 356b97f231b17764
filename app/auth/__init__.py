"""Who may use `/v1`, for what, and how often.

    Authorization header → callers.py: a Google-signed token (app/auth/tokens.py) or an API key (api_keys.py)
                         → grants.py: the Principal it stands for; grants_file.py keeps the grants fresh
                         → guard.py: may it do this (opt["scope"]), and is it not too often (rate_limit.py)
                         → `connection.state.principal`, which handlers go by

Without principals and grants there is nobody to tell apart: whoever shares the loopback interface is let in.
docs/access.md says all of it to those who deploy and those who call.
"""
