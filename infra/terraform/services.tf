# One Cloud Run service that ingests and answers queries, or two from the same image (var.services). Each has an account
# of its own, with the rights of its roles only.

locals {
  two_services = var.services == "two"

  # "main" has the API's address in either case. "ingest" exists beside it with two, and then gets the pushes. A
  # resource of "main" keeps the key that it has with one service, so that a change of the variable replaces nothing.
  services = { for key, service in {
    main = {
      name        = var.system
      account     = "${var.system}-service"
      prefix      = ""
      ingests     = !local.two_services
      queries     = true
      cpu         = var.cpu
      memory      = var.memory
      concurrency = var.concurrency
      instances   = var.instances
    }
    ingest = {
      name        = "${var.system}-ingest"
      account     = "${var.system}-ingest"
      prefix      = "ingest "
      ingests     = true
      queries     = false
      cpu         = coalesce(var.ingest_size.cpu, var.cpu)
      memory      = coalesce(var.ingest_size.memory, var.memory)
      concurrency = coalesce(var.ingest_size.concurrency, var.concurrency)
      instances   = var.ingest_size.instances == null ? var.instances : var.ingest_size.instances
    }
  } : key => service if key == "main" || local.two_services }

  # The one that Pub/Sub pushes to.
  ingest_key = local.two_services ? "ingest" : "main"

  # Settings of the other half are left out: a service that only answers queries accepts no push and no canary, and one
  # that only ingests has no cache.
  # The service reads one of SLUICE_RECORD and SLUICE_STREAMS, and refuses to start with both.
  env = { for key, service in local.services : key => merge(
    var.settings,
    { for name, value in local.managed_settings : name => value if name != (local.has_streams ? "SLUICE_RECORD" : "SLUICE_STREAMS") },
    { SLUICE_ROLES = join(",", concat(service.ingests ? ["ingest"] : [], service.queries ? ["query"] : [])) },
    service.ingests ? {} : { SLUICE_PUSH_PRINCIPALS = "", SLUICE_HEARTBEAT_SIGNATURE = "" },
    service.queries ? {} : { SLUICE_CACHE_URL = "" },
  ) }

  # Connections for appends: how many the instances may open to all tables, and how many a location takes
  # (docs/performance.md, "Limits"). A service that only answers queries opens none.
  connections_per_table = 4
  connections           = local.services[local.ingest_key].instances.max * ((length(local.streams) + 1) * local.connections_per_table + 1)
  connection_quota      = coalesce(var.append_connections, contains(["EU", "US"], upper(var.location)) ? 10000 : 1000)

  # Google's sample image, which answers every request with 200.
  sample_image = "^(us-docker[.]pkg[.]dev|gcr[.]io)/cloudrun/"
}

resource "google_service_account" "service" {
  for_each = local.services

  account_id   = each.value.account
  display_name = "The service ${each.value.name}: ${join(" and ", concat(each.value.ingests ? ["appends records"] : [], each.value.queries ? ["answers queries"] : []))}"
}
