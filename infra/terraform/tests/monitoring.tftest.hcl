# Every alert reaches somebody, and what it watches exists.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

run "every_alert_has_a_channel" {
  command = plan

  variables {
    on_call = {
      emails    = ["on-call@example.com"]
      sms       = ["+491701234567"]
      slack     = ["#on-call"]
      pagerduty = true
      existing  = ["projects/my-project/notificationChannels/7"]
    }
    slack_token   = "not-a-token"
    pagerduty_key = "not-a-key"
  }

  assert {
    condition     = length(google_monitoring_alert_policy.main) > 0 && toset(keys(google_monitoring_alert_policy.main)) == toset(jsondecode(templatefile("monitoring/alerts.json", local.placeholders))[*].name)
    error_message = "Each entry of alerts.json is a policy."
  }

  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.main : length(policy.notification_channels) == 5])
    error_message = "Each alert reaches every channel."
  }

  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.main : policy.conditions[0].condition_prometheus_query_language[0].disable_metric_validation && policy.enabled != false])
    error_message = "A policy on a metric that nobody has written yet can be made, and is on."
  }

  assert {
    condition     = length([for policy in google_monitoring_alert_policy.main : policy if strcontains(policy.conditions[0].condition_prometheus_query_language[0].query, "$${")]) == 0
    error_message = "No placeholder is left over."
  }

  assert {
    condition     = google_monitoring_notification_channel.slack["#on-call"].type == "slack" && google_monitoring_notification_channel.pagerduty[0].type == "pagerduty" && google_monitoring_notification_channel.sms["+491701234567"].labels["number"] == "+491701234567"
    error_message = "Channels are of the kinds that were asked for."
  }
}

run "nobody_is_paged_before_pushes_begin" {
  command = plan

  variables {
    pushes = false
  }

  assert {
    condition     = [for name, policy in google_monitoring_alert_policy.main : name if policy.enabled == false] == ["backlog", "heartbeat-absent"]
    error_message = "Messages wait for the first deployment on purpose; every other alert is on."
  }
}

run "canaries_that_were_turned_off_are_not_missed" {
  command = plan

  variables {
    services = "two"
  }

  assert {
    condition     = [for name, policy in google_monitoring_alert_policy.main : name if policy.enabled == false] == ["heartbeat-absent"]
    error_message = "After a change to two services the canaries of the last hours would be missed."
  }
}

run "a_system_that_waits_does_not_silence_the_others" {
  command = plan

  variables {
    pushes          = false
    watched_systems = ["sluice", "orders"]
  }

  assert {
    condition     = google_monitoring_alert_policy.main["backlog"].enabled != false
    error_message = "The backlog of the other systems is still watched."
  }
}

run "metrics_exist_before_the_alerts_that_name_them" {
  command = plan

  assert {
    condition     = toset([for metric in google_monitoring_metric_descriptor.service : metric.type]) == toset([for metric in jsondecode(file("monitoring/metrics.json")) : "workload.googleapis.com/${metric.name}"])
    error_message = "Each metric of the catalogue has a descriptor."
  }

  assert {
    condition     = google_monitoring_metric_descriptor.service["sluice.message.stored.delay"].value_type == "DISTRIBUTION" && google_monitoring_metric_descriptor.service["sluice.message.stored.delay"].metric_kind == "CUMULATIVE" && google_monitoring_metric_descriptor.service["sluice.in_flight.messages"].metric_kind == "GAUGE" && google_monitoring_metric_descriptor.service["sluice.record.stored"].value_type == "INT64"
    error_message = "Kinds and types are those that the service writes."
  }

  assert {
    condition     = contains([for label in google_monitoring_metric_descriptor.service["http.server.request.duration"].labels : label.key], "sluice_request_kind")
    error_message = "Labels are named as the exporter writes them."
  }
}

run "one_set_of_alerts_watches_all_systems" {
  command = plan

  variables {
    watched_systems = ["sluice", "orders"]
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.main["backlog"].conditions[0].condition_prometheus_query_language[0].query, "(orders|sluice)-push")
    error_message = "The subscriptions of all systems are watched."
  }

  assert {
    condition     = strcontains(google_monitoring_dashboard.main[0].dashboard_json, "(orders|sluice)-dead-letters")
    error_message = "The dashboard shows the subscriptions of all systems."
  }
}

run "another_configuration_may_watch" {
  command = plan

  variables {
    watched_systems = []
  }

  assert {
    condition     = length(google_monitoring_alert_policy.main) == 0 && length(google_monitoring_dashboard.main) == 0 && length(google_monitoring_metric_descriptor.service) == 0
    error_message = "What is for the whole project is made once."
  }

  assert {
    condition     = length(google_monitoring_slo.main) > 0
    error_message = "Objectives are each system's own."
  }
}

run "objectives_are_those_of_the_design" {
  command = plan

  assert {
    condition     = { for name, slo in google_monitoring_slo.main : name => slo.goal } == { stored-in-time = 0.99, stored-not-rejected = 0.99, api-available = 0.999, api-in-time = 0.95, queries-in-time = 0.98, visible-in-time = 0.99 }
    error_message = "Six objectives, with these goals."
  }

  assert {
    condition     = alltrue([for slo in google_monitoring_slo.main : length(slo.request_based_sli[0].distribution_cut) + length(slo.request_based_sli[0].good_total_ratio) == 1])
    error_message = "Each objective measures something, and one thing."
  }

  assert {
    condition     = google_monitoring_slo.main["stored-in-time"].request_based_sli[0].distribution_cut[0].range[0].max == 5
    error_message = "In time is within 5 s."
  }
}

run "good_pushes_are_not_logged" {
  command = plan

  assert {
    condition     = strcontains(google_logging_project_exclusion.pushes.filter, "/pubsub/push$") && strcontains(google_logging_project_exclusion.pushes.filter, "httpRequest.status<400") && strcontains(google_logging_project_exclusion.pushes.filter, "resource.labels.service_name=\"sluice\"")
    error_message = "What went well is left out, of this service; what failed is kept."
  }
}

run "an_alert_that_reaches_nobody_is_refused" {
  command         = plan
  expect_failures = [var.on_call]

  variables {
    on_call = {}
  }
}
