# prod: what is merged into main, and approved.
project_id     = "my-company-sluice-prod"
project_number = "100000000003"
region         = "europe-west1"
location       = "EU"
environment    = "prod"

on_call        = { page = { emails = ["data-on-call@example.com"] }, tickets = { emails = ["data-team@example.com"] } }
operations_url = "https://github.com/my-company/sluice/blob/main/docs/runbook.md"

# true once the first deployment has all the traffic (docs/deploy.md); until then messages wait.
pushes = false

# Two, so that one that is replaced is not missed.
instances = { min = 2, max = 20 }

# Uncomment and fill in:
# budget = { billing_account = "000000-000000-000000", monthly = 200 }
# cache  = true    # also in prod.bootstrap.tfvars
# grants = true    # once the secret has a version (README.md, "API keys")
