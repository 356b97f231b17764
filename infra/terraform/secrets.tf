# The grants, which say who may use the API (API keys among them), the secret that replays are signed with, and the key of
# the hashes of personal data. Terraform makes the containers only: what is in them is added with gcloud (README.md, "API
# keys", "Replays" and "Personal data") and is never in a plan or in the state. The grants hold hashes of keys, not keys.

locals {
  grants_folder = "/etc/sluice"

  # Automatic replication would need the location `global`, which gcp.resourceLocations refuses in most organisations.
  secret_regions = length(var.secret_regions) == 0 ? toset([var.region]) : var.secret_regions
}

resource "google_secret_manager_secret" "grants" {
  secret_id = "${var.system}-grants"
  labels    = local.labels

  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      dynamic "replicas" {
        for_each = local.secret_regions
        content {
          location = replicas.value
        }
      }
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_secret_manager_secret_iam_member" "grants" {
  for_each = local.services

  secret_id = google_secret_manager_secret.grants.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.service[each.key].member
}

resource "google_secret_manager_secret" "signing" {
  secret_id = "${var.system}-signing"
  labels    = local.labels

  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      dynamic "replicas" {
        for_each = local.secret_regions
        content {
          location = replicas.value
        }
      }
    }
  }

  depends_on = [google_project_service.used]
}

# Replays are messages: only a service that gets pushes checks them.
resource "google_secret_manager_secret_iam_member" "signing" {
  for_each = { for key, service in local.services : key => service if service.ingests }

  secret_id = google_secret_manager_secret.signing.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.service[each.key].member
}

resource "google_secret_manager_secret" "pii" {
  secret_id = "${var.system}-pii"
  labels    = local.labels

  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      dynamic "replicas" {
        for_each = local.secret_regions
        content {
          location = replicas.value
        }
      }
    }
  }

  depends_on = [google_project_service.used]
}

# Queries hash the values that they compare with, so both services need the key.
resource "google_secret_manager_secret_iam_member" "pii" {
  for_each = local.services

  secret_id = google_secret_manager_secret.pii.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.service[each.key].member
}
