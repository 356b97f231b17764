# What every test begins with; terraform test reads it by itself.
project_id     = "my-project"
project_number = "123456789012"
region         = "europe-west1"
environment    = "test"
on_call        = { emails = ["on-call@example.com"] }
operations_url = "https://example.com/operations.md"

# An image of ours, so that pushes are on; tests/first_apply.tftest.hcl is about the time before.
first_image = "europe-west1-docker.pkg.dev/my-project/sluice/sluice@sha256:abc"
