# dev: what is merged into develop. Small, sleeps when nobody uses it, and can be thrown away.
project_id     = "my-company-sluice-dev"
project_number = "100000000001"
region         = "europe-west1"
location       = "EU"
environment    = "dev"

on_call        = { page = { emails = ["data-team@example.com"] } }
operations_url = "https://github.com/my-company/sluice/blob/develop/docs/runbook.md"

# true once the first deployment has all the traffic (docs/deploy.md); until then messages wait.
pushes = false

deletion_protection = false
retention_days      = 30
trace_ratio         = 0.1
instances           = { min = 0, max = 2 }

# Its measurements would keep an instance awake around the clock.
heartbeat = null
