"""`python -m dev rollout`: give a new revision its traffic in steps, and take it back when it does badly.

- command.py: the steps, and what ends them
- cloud_run.py: a service's traffic, by gcloud
- watch.py: is the revision ready, and how many of its answers are errors
"""
