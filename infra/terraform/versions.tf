terraform {
  # 1.11 brought write-only arguments: the tokens of notification channels never enter the state.
  required_version = ">= 1.11, < 2.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.46"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.9"
    }
  }

  # Which bucket is said by environments/NAME.backend.hcl.
  backend "gcs" {}
}

provider "google" {
  project = var.project_id
  region  = var.region

  # Some APIs (budgets among them) want to know whose quota is used when a person applies this.
  billing_project       = var.project_id
  user_project_override = true

  default_labels = local.labels
}
