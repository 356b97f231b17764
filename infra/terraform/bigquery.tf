# The dataset, its tables, and for each stream the table functions that read its table as the API does.

locals {
  # Partitions are hours of it, and blocks within them shorter still, as a poll reads minutes.
  # app/stores/bigquery/table_layout.py says the same, and the service compares.
  partition_column = "ingest_time"

  tables = merge(
    { for name, stream in local.streams : name => {
      description    = "Records, as often as they were delivered: ${name}_between() returns each once."
      schema         = "${coalesce(var.schema_folder, path.module)}/${stream.schema}"
      id             = stream.record_id == "" ? [] : [stream.record_id]
      retention_days = stream.retention_days
    } },
    {
      records_rejected = {
        description    = "What could not be stored as a record, with the reason and its exact bytes."
        schema         = "${path.module}/rejects.schema.json"
        id             = []
        retention_days = min(30, local.clocks.retention_days) # an erasure does not search them (docs/retention.md)
      }
    },
    {
      _instances = {
        description    = "Watermarks: up to when each instance has stored what it stamped."
        schema         = "${path.module}/instances.schema.json"
        id             = []
        retention_days = 1
      }
      _erasures = {
        description    = "Erasures of records, for mirrors: a digest of the id, and up to when its versions were erased."
        schema         = "${path.module}/erasures.schema.json"
        id             = []
        retention_days = max(values(local.streams)[*].retention_days...) # an older one concerns no record that is left
      }
    },
  )
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
  schema      = file(each.value.schema)
  clustering  = [local.partition_column]
  labels      = local.labels

  # A query that names no stretch of time would read, and bill, all of it.
  require_partition_filter = true
  deletion_protection      = var.deletion_protection

  time_partitioning {
    type          = "HOUR"
    field         = local.partition_column
    expiration_ms = each.value.retention_days * 86400000
  }

  lifecycle {
    # BigQuery would refuse other columns too, but only in the middle of an apply.
    precondition {
      condition = try(length(setsubtract(concat([local.partition_column, "delivery_key"], each.value.id, compact([try(local.streams[each.key].deleted, ""), try(local.streams[each.key].sequence, "")])), jsondecode(file(each.value.schema))[*].name)) == 0, false)
      error_message = (fileexists(each.value.schema)
        ? "${each.value.schema} lacks columns of the table ${each.key}: it must be what sluice schema bigquery prints, with the columns that record_id, record_deleted and record_sequence name (\"\" if the type has none)."
        : "There is no ${each.value.schema}: write to it what sluice schema --stream ${each.key} bigquery prints, or name another schema_file."
      )
    }
  }
}

locals {
  # What SQL that reads a table as the API does is made of: each delivery once, without canaries.
  sql = { for name, stream in local.streams : name => {
    table       = "${var.project_id}.${google_bigquery_table.main[name].dataset_id}.${google_bigquery_table.main[name].table_id}"
    look_back_s = local.clocks.dedupe_lookback_s
  } }
}

#   SELECT * FROM sluice.records_between(TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-02')
resource "google_bigquery_routine" "between" {
  for_each = local.streams

  dataset_id   = google_bigquery_dataset.main.dataset_id
  routine_id   = "${each.key}_between"
  routine_type = "TABLE_VALUED_FUNCTION"
  language     = "SQL"
  description  = "Records that came in from `since` up to `until`, each delivery once, without canaries."

  definition_body = templatefile("${path.module}/records_between.sql", merge(local.sql[each.key], { since = "since", until = "until" }))

  arguments {
    name      = "since"
    data_type = jsonencode({ typeKind = "TIMESTAMP" })
  }

  arguments {
    name      = "until"
    data_type = jsonencode({ typeKind = "TIMESTAMP" })
  }
}

# Of settled rows (`SLUICE_SETTLE_S`):
#   SELECT * FROM sluice.records_state(TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 30 SECOND))
resource "google_bigquery_routine" "state" {
  for_each = { for name, stream in local.streams : name => stream if stream.record_id != "" }

  dataset_id   = google_bigquery_dataset.main.dataset_id
  routine_id   = "${each.key}_state"
  routine_type = "TABLE_VALUED_FUNCTION"
  language     = "SQL"
  description  = "The latest version of each record, of those that came in before `as_of`, without tombstones, as GET /v1/state. It reads all that is kept."

  definition_body = templatefile("${path.module}/records_state.sql", {
    id    = each.value.record_id
    rank  = join(", ", [for column in compact([each.value.sequence, local.partition_column, "delivery_key"]) : "`${column}` DESC"])
    alive = each.value.deleted == "" ? "TRUE" : "`${each.value.deleted}` IS NOT TRUE"
    records = templatefile("${path.module}/records_between.sql", merge(local.sql[each.key], {
      since = "TIMESTAMP_TRUNC(TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL ${each.value.retention_days * 24 - 1} HOUR), HOUR)" # what a partition that expires may still have does not count
      until = "as_of"
    }))
  })

  arguments {
    name      = "as_of"
    data_type = jsonencode({ typeKind = "TIMESTAMP" })
  }
}

#   SELECT * FROM sluice.records_recent
# The tables refuse that, as they want a stretch of time named; the view names the last seven days.
resource "google_bigquery_table" "recent" {
  for_each = local.streams

  dataset_id          = google_bigquery_dataset.main.dataset_id
  table_id            = "${each.key}_recent"
  description         = "Records of the last seven days, each delivery once, without canaries."
  labels              = local.labels
  deletion_protection = false

  view {
    query = templatefile("${path.module}/records_between.sql", merge(local.sql[each.key], {
      since = "TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 7 DAY)"
      until = "CURRENT_TIMESTAMP()"
    }))
    use_legacy_sql = false
  }
}

# The service appends to and reads these tables, and no others that may be in the dataset. One that only answers queries
# just reads them, unless it is to erase records.
resource "google_bigquery_table_iam_member" "service" {
  for_each = merge([
    for key, service in local.services : {
      for name in keys(local.tables) : "${service.prefix}${name}" => {
        service = key
        table   = name
        role    = service.ingests || var.erasure ? "roles/bigquery.dataEditor" : "roles/bigquery.dataViewer"
      }
    }
  ]...)

  dataset_id = google_bigquery_table.main[each.value.table].dataset_id
  table_id   = google_bigquery_table.main[each.value.table].table_id
  role       = each.value.role
  member     = google_service_account.service[each.value.service].member
}

# The names and columns of the dataset's tables: at its start the service reports records that no stream declares.
resource "google_bigquery_dataset_iam_member" "service" {
  for_each = local.services

  dataset_id = google_bigquery_dataset.main.dataset_id
  role       = "roles/bigquery.metadataViewer"
  member     = google_service_account.service[each.key].member
}

# Running queries, and reading large results, are rights on a project. Appends need neither.
resource "google_project_iam_member" "service_bigquery" {
  for_each = merge([
    for key, service in local.services : {
      for role in ["roles/bigquery.jobUser", "roles/bigquery.readSessionUser"] : "${service.prefix}${role}" => { service = key, role = role }
    } if service.queries
  ]...)

  project = var.project_id
  role    = each.value.role
  member  = google_service_account.service[each.value.service].member
}

resource "google_bigquery_dataset_iam_member" "reader" {
  for_each = var.dataset_readers

  dataset_id = google_bigquery_dataset.main.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.key
}
