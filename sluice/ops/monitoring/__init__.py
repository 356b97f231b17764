"""Alerts, objectives and boards, declared once.

`python -m sluice.ops.monitoring` writes infra/terraform/monitoring/*.json.

promql       selectors over the metrics of app.telemetry.instruments and of Google's services
objectives   what is promised, and how it is counted
alerts       what somebody is told, and when
tiles        what is shown
google       written as Cloud Monitoring reads it: alerts.json, slos.json, dashboard.json
grafana      written as Grafana reads it: grafana.json

Nothing else may name a metric: a metric or label that the catalogue lacks is an error here.
"""
