# Where the deploy workflow puts images. Those that nobody can want back are removed.

resource "google_artifact_registry_repository" "images" {
  repository_id = var.system
  location      = var.region
  format        = "DOCKER"
  description   = "Images of ${var.system}"
  labels        = local.labels

  # A version that has an immutable tag cannot be deleted, so the policies below would remove nothing. Deployments name
  # a digest, whose signature they verify: nobody depends on what a tag means.
  docker_config {
    immutable_tags = false
  }

  cleanup_policies {
    id     = "keep-the-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 80 # of 20 deployments: each has an index, an image, its attestations and a signature
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

  # There is no policy for untagged versions: the parts of an index have no tag of their own.

  depends_on = [google_project_service.used]
}

# A published image (var.image) is read from GitHub once and kept here: Cloud Run takes images from this project then, and
# an outage of another registry stops no deployment.
resource "google_artifact_registry_repository" "published" {
  count = var.image == "" ? 0 : 1

  repository_id = "${var.system}-published"
  location      = var.region
  format        = "DOCKER"
  mode          = "REMOTE_REPOSITORY"
  description   = "Published images of ${var.system}"
  labels        = local.labels

  remote_repository_config {
    description = "GitHub's container registry"
    docker_repository {
      custom_repository {
        uri = "https://ghcr.io"
      }
    }
  }

  depends_on = [google_project_service.used]
}

locals {
  published = "${var.region}-docker.pkg.dev/${var.project_id}/${join("", google_artifact_registry_repository.published[*].repository_id)}"

  # Of a service that is made: afterwards the image is the deploy workflow's, or that of `terraform output update`.
  first_image = var.image == "" ? var.first_image : replace(var.image, "ghcr.io/", "${local.published}/")
}

# Cloud Run pulls by an account of its own, which may read the repositories of its project.

resource "google_artifact_registry_repository_iam_member" "deploy" {
  repository = google_artifact_registry_repository.images.name
  location   = google_artifact_registry_repository.images.location
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.deploy.member
}
