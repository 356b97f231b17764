# staging: what goes to production next, in production's shape.
project_id     = "my-company-sluice-staging"
project_number = "100000000002"
region         = "europe-west1"
location       = "EU"
environment    = "staging"

on_call        = { page = { emails = ["data-team@example.com"] } }
operations_url = "https://github.com/my-company/sluice/blob/staging/docs/runbook.md"

# true once the first deployment has all the traffic (docs/deploy.md); until then messages wait.
pushes = false

retention_days = 60
instances      = { min = 1, max = 4 }
