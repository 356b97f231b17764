# Optional: one cache of answers and one count of requests for all instances (var.cache). Memorystore is reached through
# a network of its own, by TLS, and only by the service's identity. It holds answers for a short time, encrypted with a
# key of the service; the service goes on without it.

locals {
  # Of the endpoints of an instance, the one that takes writes.
  cache_endpoints = flatten([
    for instance in google_memorystore_instance.cache : [
      for endpoint in instance.endpoints : [
        for connection in endpoint.connections : [
          for auto in connection.psc_auto_connection : auto if auto.connection_type == "CONNECTION_TYPE_PRIMARY"
        ]
      ]
    ]
  ])
  cache_authority = join("\n", flatten(google_memorystore_instance.cache[*].managed_server_ca[*].ca_certs[*].certificates))
  cache_url       = var.cache ? "valkeys://default@${local.cache_endpoints[0].ip_address}:${local.cache_endpoints[0].port}/0?ssl_ca_data=${urlencode(local.cache_authority)}" : ""
}

resource "google_compute_network" "cache" {
  count = var.cache ? 1 : 0

  name                    = "${var.system}-cache"
  auto_create_subnetworks = false

  depends_on = [google_project_service.used]
}

resource "google_compute_subnetwork" "cache" {
  count = var.cache ? 1 : 0

  name          = "${var.system}-cache"
  network       = google_compute_network.cache[0].id
  region        = var.region
  ip_cidr_range = "10.8.0.0/24" # Cloud Run takes an address for each instance, and twice as many while it deploys

  private_ip_google_access = true
}

resource "google_network_connectivity_service_connection_policy" "cache" {
  count = var.cache ? 1 : 0

  name          = "${var.system}-cache"
  location      = var.region
  service_class = "gcp-memorystore"
  network       = google_compute_network.cache[0].id
  labels        = local.labels

  psc_config {
    subnetworks = [google_compute_subnetwork.cache[0].id]
  }

  depends_on = [google_project_service.used]
}

resource "google_memorystore_instance" "cache" {
  count = var.cache ? 1 : 0

  instance_id = "${var.system}-cache"
  location    = var.region
  mode        = "CLUSTER_DISABLED"
  shard_count = 1
  node_type   = "SHARED_CORE_NANO"
  labels      = local.labels

  authorization_mode      = "IAM_AUTH"
  transit_encryption_mode = "SERVER_AUTHENTICATION"

  # When it is full, what was not used for longest goes.
  engine_configs = { maxmemory-policy = "allkeys-lru" }

  # Nothing in it is worth keeping.
  deletion_protection_enabled = false

  desired_auto_created_endpoints {
    network    = google_compute_network.cache[0].id
    project_id = var.project_id
  }

  depends_on = [google_network_connectivity_service_connection_policy.cache]
}

# The role opens every Memorystore of the project, in which nothing else is.
resource "google_project_iam_member" "cache" {
  count = var.cache ? 1 : 0

  project = var.project_id
  role    = "roles/memorystore.dbConnectionUser"
  member  = google_service_account.service["main"].member
}

# The key of what is in the cache: made at random and written once, so that it is in no plan and not in the state.
ephemeral "random_password" "cache" {
  count = var.cache ? 1 : 0

  length  = 48
  special = false
}

resource "google_secret_manager_secret" "cache" {
  count = var.cache ? 1 : 0

  secret_id = "${var.system}-cache"
  labels    = local.labels

  # A new key empties the cache, and no more.
  deletion_protection = false

  replication {
    auto {}
  }

  depends_on = [google_project_service.used]
}

resource "google_secret_manager_secret_version" "cache" {
  count = var.cache ? 1 : 0

  secret                 = google_secret_manager_secret.cache[0].id
  secret_data_wo         = ephemeral.random_password.cache[0].result
  secret_data_wo_version = 1
}

resource "google_secret_manager_secret_iam_member" "cache" {
  count = var.cache ? 1 : 0

  secret_id = google_secret_manager_secret.cache[0].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.service["main"].member
}
