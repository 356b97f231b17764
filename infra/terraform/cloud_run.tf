# The Cloud Run services of services.tf. Their image, revisions and traffic belong to the deploy workflow; everything
# else is said here.

locals {
  # What other resources depend on, of a service with both roles. var.settings adds to these and cannot change them.
  managed_settings = {
    SLUICE_HOST                = "0.0.0.0"
    SLUICE_ROLES               = "ingest,query"
    SLUICE_RECORD              = var.record_type
    SLUICE_STREAMS             = var.streams_module
    SLUICE_BACKEND             = "bigquery"
    SLUICE_BIGQUERY_PROJECT    = var.project_id
    SLUICE_BIGQUERY_DATASET    = google_bigquery_dataset.main.dataset_id
    SLUICE_BIGQUERY_LOCATION   = var.location
    SLUICE_PLATFORM_IAM        = var.platform_iam
    SLUICE_PUSH_AUDIENCE       = local.push_audience
    SLUICE_PUSH_PRINCIPALS     = google_service_account.push.email
    SLUICE_API_AUDIENCE        = local.api_audience
    SLUICE_API_PRINCIPALS      = join(",", concat(sort(var.api_principals), var.smoke_test ? [google_service_account.deploy.email] : []))
    SLUICE_GRANTS_FILE         = var.grants ? "${local.grants_folder}/grants.json" : ""
    SLUICE_CACHE_URL           = local.cache_url
    SLUICE_HEARTBEAT_SIGNATURE = local.heartbeat_signature
    SLUICE_SYSTEM              = var.system
    SLUICE_TRACES              = var.traces
    SLUICE_TRACE_RATIO         = tostring(var.trace_ratio)
    SLUICE_METRICS             = join(",", sort(var.metrics))
    SLUICE_ACK_DEADLINE_S      = tostring(local.clocks.ack_deadline_s)
    SLUICE_RETRY_BACKOFF_MAX_S = tostring(local.clocks.retry_backoff_max_s)
    SLUICE_DEDUPE_LOOKBACK_S   = tostring(local.clocks.dedupe_lookback_s)
    SLUICE_TAIL_MAX_S          = tostring(local.clocks.tail_max_s)
    SLUICE_ID_INDEX            = tostring(var.id_index)
    SLUICE_RETENTION_DAYS      = tostring(local.clocks.retention_days)
  }

  # This is changed at once, and what the service trusts only with a revision that has traffic. So on the way from "trust"
  # to "off" the check stays on until no revision is left that relies on it (README.md, "From trust to off").
  cloud_run_checks = var.platform_iam == "trust" || var.keep_invoker_check
}

resource "google_cloud_run_v2_service" "main" {
  for_each = local.services

  name     = each.value.name
  location = var.region
  labels   = local.labels

  deletion_protection = var.deletion_protection
  ingress = {
    all                               = "INGRESS_TRAFFIC_ALL"
    internal                          = "INGRESS_TRAFFIC_INTERNAL_ONLY"
    internal-and-cloud-load-balancing = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  }[var.ingress]

  # The gate. Cloud Run's own check replaces a token's signature before the container sees it, so there is one gate or
  # the other: "off" leaves it to the service, which verifies every token; "trust" leaves it on.
  invoker_iam_disabled = !local.cloud_run_checks

  # With its check on, Cloud Run takes tokens for its own URL and for these.
  custom_audiences = local.cloud_run_checks ? concat(each.value.ingests ? [local.push_audience] : [], [local.api_audience]) : []

  template {
    service_account                  = google_service_account.service[each.key].email
    timeout                          = "${local.clocks.request_timeout_s}s"
    max_instance_request_concurrency = each.value.concurrency
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"

    scaling {
      min_instance_count = each.value.instances.min
      max_instance_count = each.value.instances.max
    }

    containers {
      image = local.first_image

      ports {
        container_port = 8080
      }

      resources {
        limits            = { cpu = each.value.cpu, memory = each.value.memory }
        cpu_idle          = false # billed by the instance: appends, metrics and keys go on between requests
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = local.env[each.key]
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = var.signing && each.value.ingests ? [1] : []
        content {
          name = "SLUICE_SIGNING_SECRET"
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.signing.secret_id
              version = "latest" # read when an instance starts
            }
          }
        }
      }

      dynamic "env" {
        for_each = var.pii_secret_version[*]
        content {
          name = "SLUICE_PII_SECRET"
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.pii.secret_id
              version = tostring(env.value) # a new version makes other hashes, so it comes with an apply
            }
          }
        }
      }

      dynamic "env" {
        for_each = each.value.queries ? google_secret_manager_secret_version.cache : []
        content {
          name = "SLUICE_CACHE_SECRET"
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.cache[0].secret_id
              version = env.value.version
            }
          }
        }
      }

      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 60
        http_get {
          path = "/health/ready"
        }
      }

      readiness_probe {
        period_seconds    = 5
        timeout_seconds   = 2
        failure_threshold = 3
        success_threshold = 1
        http_get {
          path = "/health/ready"
        }
      }

      liveness_probe {
        period_seconds    = 15
        timeout_seconds   = 5
        failure_threshold = 4
        http_get {
          path = "/health/live"
        }
      }

      dynamic "volume_mounts" {
        for_each = var.grants ? [1] : []
        content {
          name       = "grants"
          mount_path = local.grants_folder
        }
      }
    }

    dynamic "volumes" {
      for_each = var.grants ? [1] : []
      content {
        name = "grants"
        secret {
          secret       = google_secret_manager_secret.grants.secret_id
          default_mode = 292 # 0444: read by everybody in the container, written by nobody
          items {
            version = "latest" # read anew by the service: a change of grants is no deployment
            path    = "grants.json"
          }
        }
      }
    }

    dynamic "vpc_access" {
      for_each = each.value.queries ? google_compute_subnetwork.cache : []
      content {
        egress = "PRIVATE_RANGES_ONLY" # to the cache; Google's APIs are reached as ever
        network_interfaces {
          network    = google_compute_network.cache[0].id
          subnetwork = vpc_access.value.id
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [
      # The deploy workflow's. Without these lines an apply would bring the placeholder back. The revision's name is not
      # among them: one that somebody chose would be sent again with other contents, and Cloud Run refuses that.
      template[0].containers[0].image,
      template[0].labels,
      traffic,
      client,
      client_version,
    ]

    # Every table can get so many connections from each instance, and streams in trouble do open them.
    precondition {
      condition     = !each.value.ingests || local.connections <= local.connection_quota
      error_message = "instances.max lets ${each.value.name} open ${local.connections} connections for appends (${each.value.instances.max} instances, ${length(local.streams) + 1} tables, ${local.connections_per_table} each), and BigQuery takes ${local.connection_quota} in ${var.location}. Lower instances.max, or request more and say so in append_connections."
    }

    # Pushes move to a new service at once, and the sample would acknowledge messages and store nothing.
    postcondition {
      condition     = !(local.two_services && each.key == "ingest" && var.pushes && can(regex(local.sample_image, self.template[0].containers[0].image)))
      error_message = "Pub/Sub would push to Google's sample: set first_image to the image that runs (terraform output -raw image), or begin with pushes = false."
    }
  }

  depends_on = [
    google_project_service.used,
    # A revision starts only if it can do these.
    google_bigquery_table_iam_member.service,
    google_project_iam_member.service_bigquery,
    google_secret_manager_secret_iam_member.grants,
    google_secret_manager_secret_iam_member.signing,
    google_secret_manager_secret_iam_member.pii,
    google_secret_manager_secret_iam_member.cache,
    google_project_iam_member.cache,
  ]
}

# Who passes Cloud Run's own check. Where it is off nobody needs to.
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = merge([
    for key, service in local.services : {
      for name, member in merge(
        service.ingests ? { push = google_service_account.push.member } : {},
        var.smoke_test ? { deploy = google_service_account.deploy.member } : {},
        { for member in var.invokers : member => member },
      ) : "${service.prefix}${name}" => { service = key, member = member }
    } if local.cloud_run_checks
  ]...)

  name     = google_cloud_run_v2_service.main[each.value.service].name
  location = google_cloud_run_v2_service.main[each.value.service].location
  role     = "roles/run.invoker"
  member   = each.value.member
}

# Metrics and traces are written to the project, each by the role of its way. The Telemetry API counts requests against
# the quota of the project that they name (x-goog-user-project), and that has to be allowed, too.
resource "google_project_iam_member" "service_telemetry" {
  for_each = merge([
    for key, service in local.services : {
      for role in compact([
        contains(var.metrics, "cloud") ? "roles/telemetry.metricsWriter" : "",
        var.traces == "cloud" ? "roles/cloudtrace.agent" : "",
        var.traces == "cloud-otlp" ? "roles/telemetry.tracesWriter" : "",
        contains(var.metrics, "cloud") || var.traces == "cloud-otlp" ? "roles/serviceusage.serviceUsageConsumer" : "",
      ]) : "${service.prefix}${role}" => { service = key, role = role }
    }
  ]...)

  project = var.project_id
  role    = each.value.role
  member  = google_service_account.service[each.value.service].member
}
