# What every test begins with; terraform test reads it by itself.
project_id     = "my-project"
project_number = "123456789012"
region         = "europe-west1"
environment    = "test"
on_call        = { page = { emails = ["on-call@example.com"] } }
operations_url = "https://example.com/runbook.md"

# As after the first deployment, so that pushes are on; tests/push.tftest.hcl is about the time before, too.
pushes      = true
first_image = "europe-west1-docker.pkg.dev/my-project/sluice/sluice@sha256:abc"
