# Optional: one cache of answers and one count of requests for all instances (var.cache). Memorystore is reached through
# a network of its own, in which there is nothing else: that, and not a password, is what keeps others out. It holds
# answers for a short time; the service goes on without it.

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
  cache_url = var.cache ? "valkey://${local.cache_endpoints[0].ip_address}:${local.cache_endpoints[0].port}/0" : ""
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

  # The service knows neither Google's tokens nor its certificate authority; see above on what protects it.
  authorization_mode      = "AUTH_DISABLED"
  transit_encryption_mode = "TRANSIT_ENCRYPTION_DISABLED"

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
