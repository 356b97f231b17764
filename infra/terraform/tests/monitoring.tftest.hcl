# Every alert reaches somebody, and what it watches exists.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

run "every_alert_reaches_its_list" {
  command = plan

  variables {
    on_call = {
      page = {
        emails    = ["on-call@example.com"]
        sms       = ["+491701234567"]
        slack     = ["#on-call"]
        pagerduty = true
        existing  = ["projects/my-project/notificationChannels/7"]
      }
      tickets = { emails = ["team@example.com"] }
    }
    slack_token   = "not-a-token"
    pagerduty_key = "not-a-key"
  }

  assert {
    condition     = length(google_monitoring_alert_policy.main) > 0 && toset(keys(google_monitoring_alert_policy.main)) == toset(flatten(yamldecode(templatefile("monitoring/alerts.yaml", local.placeholders)).groups[*].rules[*].alert))
    error_message = "Each rule of alerts.yaml is a policy."
  }

  assert {
    condition     = toset(flatten([for policy in google_monitoring_alert_policy.main : policy.notification_channels if policy.user_labels["response"] == "ticket"])) == toset(["projects/my-project/notificationChannels/2"]) && alltrue([for policy in google_monitoring_alert_policy.main : length(policy.notification_channels) == 1 if policy.user_labels["response"] == "ticket"])
    error_message = "What can wait until the morning wakes nobody."
  }

  assert {
    condition     = length([for policy in google_monitoring_alert_policy.main : policy if policy.user_labels["response"] == "page"]) > 0 && alltrue([for policy in google_monitoring_alert_policy.main : length(policy.notification_channels) == 5 && !contains(policy.notification_channels, "projects/my-project/notificationChannels/2") if policy.user_labels["response"] == "page"])
    error_message = "What cannot wait reaches every channel of page, and no other."
  }

  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.main : policy.conditions[0].condition_prometheus_query_language[0].disable_metric_validation && policy.enabled != false && policy.alert_strategy[0].auto_close == "1800s"])
    error_message = "A policy on a metric that nobody has written yet can be made, is on, and closes its incidents."
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

run "a_team_without_tickets_is_paged_of_everything" {
  command = plan

  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.main : policy.notification_channels == tolist([google_monitoring_notification_channel.email["on-call@example.com"].name])])
    error_message = "One address is enough, and it is one channel."
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

run "every_selector_of_googles_metrics_is_pinned" {
  command = plan

  assert {
    condition = alltrue([
      for policy in google_monitoring_alert_policy.main :
      length(regexall("googleapis_com:[a-z_]+", policy.conditions[0].condition_prometheus_query_language[0].query)) == length(regexall("googleapis_com:[a-z_]+{monitored_resource=", policy.conditions[0].condition_prometheus_query_language[0].query))
    ])
    error_message = "PromQL over a metric with several resources is refused: each selector pins one."
  }

  assert {
    condition     = length(regexall("googleapis_com:", google_monitoring_dashboard.main[0].dashboard_json)) == length(regexall("googleapis_com:[a-z_]+{monitored_resource=", google_monitoring_dashboard.main[0].dashboard_json))
    error_message = "The dashboard's selectors, too."
  }

  assert {
    condition     = length([for policy in google_monitoring_alert_policy.main : policy if strcontains(policy.conditions[0].condition_prometheus_query_language[0].query, "workload.googleapis.com")]) == 0
    error_message = "No alert is about metrics that are no longer written."
  }
}

run "metrics_and_traces_go_to_google" {
  command = plan

  assert {
    condition     = local.env["main"]["SLUICE_METRICS"] == "cloud" && local.env["main"]["SLUICE_TRACES"] == "cloud" && contains(keys(google_project_service.used), "telemetry.googleapis.com")
    error_message = "By default, and the API that takes metrics is on."
  }
}

run "traces_can_go_through_the_telemetry_api" {
  command = plan

  variables {
    traces = "cloud-otlp"
  }

  assert {
    condition     = local.env["main"]["SLUICE_TRACES"] == "cloud-otlp" && toset(keys(google_project_iam_member.service_telemetry)) == toset(["roles/serviceusage.serviceUsageConsumer", "roles/telemetry.metricsWriter", "roles/telemetry.tracesWriter"])
    error_message = "One variable changes the setting and the role."
  }
}

run "nothing_is_granted_for_what_is_off" {
  command = plan

  variables {
    traces  = "none"
    metrics = ["prometheus"]
  }

  assert {
    condition     = local.env["main"]["SLUICE_METRICS"] == "prometheus" && length(google_project_iam_member.service_telemetry) == 0
    error_message = "A service that sends nothing to Google has no role for it."
  }
}

run "an_unknown_receiver_of_metrics_is_refused" {
  command         = plan
  expect_failures = [var.metrics]

  variables {
    metrics = ["statsd"]
  }
}

run "an_unknown_receiver_of_traces_is_refused" {
  command         = plan
  expect_failures = [var.traces]

  variables {
    traces = "zipkin"
  }
}

run "objectives_wait_for_the_first_revision" {
  command = plan

  variables {
    pushes = false
  }

  assert {
    condition     = length(google_monitoring_slo.main) == 0
    error_message = "An objective on a metric that was never written is refused."
  }
}

run "objectives_can_wait_longer" {
  command = plan

  variables {
    objectives = false
  }

  assert {
    condition     = length(google_monitoring_slo.main) == 0
    error_message = "An upgrade whose metrics are not written yet can be applied."
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
    condition     = length(google_monitoring_alert_policy.main) == 0 && length(google_monitoring_dashboard.main) == 0
    error_message = "What is for the whole project is made once."
  }

  assert {
    condition     = length(google_monitoring_slo.main) > 0
    error_message = "Objectives are each system's own."
  }
}

run "fixed_limits_can_be_turned_off" {
  command = plan

  variables {
    fixed_limits = false
  }

  assert {
    condition     = !contains(keys(google_monitoring_alert_policy.main), "fixed-limits") && contains(keys(google_monitoring_alert_policy.main), "stored-in-time")
    error_message = "The alerts on objectives and causes stay."
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
    condition     = alltrue([for slo in google_monitoring_slo.main : strcontains(slo.request_based_sli[0].distribution_cut[0].distribution_filter, "resource.type=\"prometheus_target\"") if length(slo.request_based_sli[0].distribution_cut) > 0])
    error_message = "They are about what the service writes."
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
    on_call = { page = {} }
  }
}

run "a_ticket_that_reaches_nobody_is_refused" {
  command         = plan
  expect_failures = [var.on_call]

  variables {
    on_call = { page = { emails = ["on-call@example.com"] }, tickets = {} }
  }
}

run "a_slack_channel_without_a_token_is_refused" {
  command         = plan
  expect_failures = [var.slack_token]

  variables {
    on_call     = { page = { emails = ["on-call@example.com"] }, tickets = { slack = ["#team"] } }
    slack_token = "" # what a secret of GitHub that is not there comes to
  }
}

run "pagerduty_without_a_key_is_refused" {
  command         = plan
  expect_failures = [var.pagerduty_key]

  variables {
    on_call = { page = { pagerduty = true } }
  }
}
