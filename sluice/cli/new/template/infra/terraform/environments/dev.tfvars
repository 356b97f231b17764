# dev: what is merged into develop. Small, sleeps when nobody uses it, and can be thrown away.
project_id     = "my-company-__SYSTEM__-dev"
project_number = "100000000001"
region         = "europe-west1"
location       = "EU"
environment    = "dev"
system         = "__SYSTEM__"

on_call        = { page = { emails = ["data-team@example.com"] } }
operations_url = "https://github.com/__OWNER__/sluice/blob/__REF__/docs/runbook.md"

pushes              = false
deletion_protection = false
retention_days      = 30
instances           = { min = 0, max = 2 }
