# The dataset, its two tables, and the table function that reads one of them as the API does.

locals {
  # By hour, as a poll reads minutes. app/stores/bigquery/table_layout.py says the same, and the service compares.
  partition_column = "ingest_time"

  tables = {
    records = {
      description = "Records, as often as they were delivered: records_between() returns each once."
      schema      = "table.schema.json"
      clustering  = var.record_id == "" ? null : [var.record_id]
    }
    records_rejected = {
      description = "What could not be stored as a record, with the reason and its exact bytes."
      schema      = "rejects.schema.json"
      clustering  = ["reason"]
    }
  }
}

resource "google_bigquery_dataset" "main" {
  dataset_id  = var.dataset == "" ? replace(var.system, "-", "_") : var.dataset
  location    = var.location
  description = "What ${var.system} stored (${var.environment})."
  labels      = local.labels

  delete_contents_on_destroy = false
  deletion_policy            = var.deletion_protection ? "PREVENT" : "DELETE"

  depends_on = [google_project_service.used]
}

resource "google_bigquery_table" "main" {
  for_each = local.tables

  dataset_id  = google_bigquery_dataset.main.dataset_id
  table_id    = each.key
  description = each.value.description
  schema      = file("${path.module}/${each.value.schema}")
  clustering  = each.value.clustering
  labels      = local.labels

  # A query that names no stretch of time would read, and bill, all of it.
  require_partition_filter = true
  deletion_protection      = var.deletion_protection

  time_partitioning {
    type          = "HOUR"
    field         = local.partition_column
    expiration_ms = local.clocks.retention_days * 86400000
  }
}

# Instead of a view, which could not pass on the stretch of time that the table insists on:
#   SELECT * FROM sluice.records_between(TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-02')
resource "google_bigquery_routine" "records_between" {
  dataset_id   = google_bigquery_dataset.main.dataset_id
  routine_id   = "records_between"
  routine_type = "TABLE_VALUED_FUNCTION"
  language     = "SQL"
  description  = "Records that came in from `since` up to `until`, each delivery once, without canaries."

  definition_body = templatefile("${path.module}/records_between.sql", {
    table       = "${var.project_id}.${google_bigquery_table.main["records"].dataset_id}.${google_bigquery_table.main["records"].table_id}"
    look_back_s = local.clocks.dedupe_lookback_s
  })

  arguments {
    name      = "since"
    data_type = jsonencode({ typeKind = "TIMESTAMP" })
  }

  arguments {
    name      = "until"
    data_type = jsonencode({ typeKind = "TIMESTAMP" })
  }
}

# The service appends to and reads two tables, and no others that may be in the dataset.
resource "google_bigquery_table_iam_member" "service" {
  for_each = google_bigquery_table.main

  dataset_id = each.value.dataset_id
  table_id   = each.value.table_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.service.member
}

# Running queries, and reading large results, are rights on a project.
resource "google_project_iam_member" "service_bigquery" {
  for_each = toset(["roles/bigquery.jobUser", "roles/bigquery.readSessionUser"])

  project = var.project_id
  role    = each.key
  member  = google_service_account.service.member
}

resource "google_bigquery_dataset_iam_member" "reader" {
  for_each = var.dataset_readers

  dataset_id = google_bigquery_dataset.main.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.key
}
