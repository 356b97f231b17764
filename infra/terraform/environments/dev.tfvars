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

# To be seen at once, by day: gcloud scheduler jobs run sluice-simulated-source --location=europe-west1
simulated_source = {
  records = <<-JSON
    [
      {"id": "order-1", "timestamp": "2026-01-31T12:00:00Z", "source": "checkout", "data": {"total_cents": 4200, "country": "NO"}},
      {"id": "order-2", "timestamp": "2026-01-31T12:03:00Z", "source": "checkout", "data": {"total_cents": 1250, "country": "DE"}},
      {"id": "parcel-1", "timestamp": "2026-01-31T12:10:00Z", "source": "shipping", "data": {"order": "order-1", "weight_g": 850}}
    ]
  JSON
}
