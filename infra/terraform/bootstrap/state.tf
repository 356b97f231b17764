# Where Terraform keeps what it knows: one bucket for each environment, in its project.

resource "google_storage_bucket" "state" {
  name     = coalesce(var.state_bucket, "${var.project_id}-terraform")
  location = var.location

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  deletion_policy             = "PREVENT"

  # An earlier state can be brought back.
  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions = 50
      with_state         = "ARCHIVED"
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_storage_bucket_iam_member" "apply" {
  bucket = google_storage_bucket.state.name
  role   = "roles/storage.objectUser"
  member = google_service_account.apply.member
}

# Reads the state and cannot lock it: plans of pull requests say -lock=false.
resource "google_storage_bucket_iam_member" "plan" {
  bucket = google_storage_bucket.state.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.plan.member
}
