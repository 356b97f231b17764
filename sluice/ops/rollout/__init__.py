"""`sluice rollout`: shift traffic to a new revision in steps, and roll back if it performs badly.

- command.py: the steps, and when to abort
- cloud_run.py: a service's traffic, by gcloud
- watch.py: the revision's readiness and error rate
"""
