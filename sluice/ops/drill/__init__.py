"""`sluice drill`: break one thing on a laptop, and mend it with the run-book.

command     `sluice drill`: chooses a drill, tells the person where to look, and measures the outage
catalogue   the drills: what each breaks, the symptom that it shows, and its section of the run-book
system      what is broken: a local Pub/Sub, a service that is restarted like on Cloud Run, and their folder
consumer    the key that a consumer reads with, and the end of its grant
trickle     publishes records all the time, and compares them with the feed
run_book    finds a section of docs/runbook.md, and its commands for a laptop
records     the record types that the drills deploy
"""
