# Where the deploy workflow puts images. Those that nobody can want back are removed.

resource "google_artifact_registry_repository" "images" {
  repository_id = var.system
  location      = var.region
  format        = "DOCKER"
  description   = "Images of ${var.system}"
  labels        = local.labels

  # An image is deployed by its digest, and a tag says for good which commit it was built from.
  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-the-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 20 # a rollback reaches this far
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "7776000s" # 90 days
      tag_state  = "ANY"
    }
  }

  cleanup_policies {
    id     = "delete-untagged"
    action = "DELETE"
    condition {
      older_than = "1209600s" # 14 days
      tag_state  = "UNTAGGED"
    }
  }

  depends_on = [google_project_service.used]
}

# Cloud Run pulls by an account of its own, which may read the repositories of its project.

resource "google_artifact_registry_repository_iam_member" "deploy" {
  repository = google_artifact_registry_repository.images.name
  location   = google_artifact_registry_repository.images.location
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.deploy.member
}
