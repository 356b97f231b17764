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

# To be seen at once, by day: gcloud scheduler jobs run __SYSTEM__-simulated-source --location=europe-west1
simulated_source = {
  records = <<-JSON
    [
      {"id": "o-1", "placed_time": "2026-01-31T12:00:00Z", "country": "NO", "total_cents": 4200},
      {"id": "o-2", "placed_time": "2026-01-31T12:03:00Z", "country": "DE", "total_cents": 1250}
    ]
  JSON
}
