"""What operates a deployment, or a system on a laptop: each module or package is a command of `sluice`.

smoke          sends one record through a running service and reads it back
canary         publishes a sample that measures the delay until it is readable
replay         publishes rejected records again, after a fix (rejects_feed reads them)
redrive        moves dead-lettered messages back to their topic
backfill       stores the records of files, as the service would
drill          breaks one thing, to be mended with the run-book
rollout        shifts traffic on Cloud Run to a new revision in steps, or back
preflight      asks Google whether a deployment works, and follows a record through it
"""
