# prod: what is merged into main, and approved.
project_id     = "my-company-__SYSTEM__-prod"
project_number = "100000000003"
region         = "europe-west1"
location       = "EU"
environment    = "prod"
system         = "__SYSTEM__"

on_call        = { page = { emails = ["data-on-call@example.com"] }, tickets = { emails = ["data-team@example.com"] } }
operations_url = "https://github.com/__OWNER__/sluice/blob/__REF__/docs/runbook.md"

pushes    = false
instances = { min = 2, max = 20 } # two, so that one that is replaced is not missed
