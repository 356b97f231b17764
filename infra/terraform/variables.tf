# What must be said: where, whose, and who is told when something is wrong. Everything else has a default
# (variables_service.tf, variables_data.tf, variables_monitoring.tf).

variable "project_id" {
  description = "The Google Cloud project that everything is made in. One project for each environment keeps them apart."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 lower-case letters, digits and hyphens, such as my-company-sluice-dev."
  }
}

variable "project_number" {
  description = "The project's number: gcloud projects describe PROJECT --format='value(projectNumber)'. Google's own accounts are named by it."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{6,}$", var.project_number))
    error_message = "The number, not the id: digits only, as gcloud projects describe PROJECT --format='value(projectNumber)' prints it."
  }
}

variable "region" {
  description = "Where the service runs, such as europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region, such as europe-west1 (not a zone, which ends in a letter)."
  }
}

variable "environment" {
  description = "Which environment this is. It becomes a label; the deploy workflow's GitHub environment has the same name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,20}$", var.environment))
    error_message = "Lower-case letters, digits and hyphens, such as dev, staging or prod."
  }
}

variable "system" {
  description = "What this system is called: the name of the service, the beginning of every other name, and the label by which it is told from others on the dashboard."
  type        = string
  default     = "sluice"

  validation {
    # The longest name is that of a service account: 30 characters, and -service behind the system's name.
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}[a-z0-9]$", var.system))
    error_message = "3 to 21 lower-case letters, digits and hyphens, beginning with a letter, such as orders."
  }
}

variable "workload_identity_pool" {
  description = "The id of the pool that bootstrap/ made, in which GitHub's workflows sign in."
  type        = string
  default     = "github"
}

variable "labels" {
  description = "More labels for every resource, to find costs by, such as { team = \"data\" }."
  type        = map(string)
  default     = {}
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete what holds data (tables, subscriptions, secret) and the service. Set to false and apply before a tear-down, never otherwise."
  type        = bool
  default     = true
}
