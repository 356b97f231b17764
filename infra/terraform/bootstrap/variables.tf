variable "project_id" {
  description = "The project of one environment."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 lower-case letters, digits and hyphens, such as my-company-sluice-dev."
  }
}

variable "location" {
  description = "Where the bucket of the state is, such as EU or europe-west1."
  type        = string
  default     = "EU"
}

variable "state_bucket" {
  description = "The name of the bucket of the state. Empty: PROJECT-terraform. This and the names below differ for a second system in the project."
  type        = string
  default     = ""
}

variable "workload_identity_pool" {
  description = "The id of the pool in which GitHub's workflows sign in; the variable of the same name in ../ says it, too. A deleted pool keeps its id for 30 days: after a tear-down take another."
  type        = string
  default     = "github"

  validation {
    condition     = can(regex("^[a-z0-9-]{4,32}$", var.workload_identity_pool)) && !startswith(var.workload_identity_pool, "gcp-")
    error_message = "4 to 32 lower-case letters, digits and hyphens, not beginning with gcp-."
  }
}

variable "apply_account" {
  description = "The id of the account that applies."
  type        = string
  default     = "terraform-apply"
}

variable "plan_account" {
  description = "The id of the account that plans."
  type        = string
  default     = "terraform-plan"
}

variable "plan_role" {
  description = "The id of the role by which it sees log exclusions. A deleted role keeps its id for weeks, too."
  type        = string
  default     = "sluicePlanLogExclusions"
}

variable "github" {
  description = "Which runs of which repository's workflows may act on the project."
  type = object({
    repository_id = string # gh api repos/OWNER/NAME --jq .id; a name can change hands, the number cannot
    branch        = string # whose commits are deployed to this environment
    environment   = string # the GitHub environment that a job must be in, with whatever approvals it asks for
  })

  validation {
    condition     = can(regex("^[1-9][0-9]*$", var.github.repository_id))
    error_message = "github.repository_id is the number that gh api repos/OWNER/NAME --jq .id prints."
  }

  validation {
    # They stand between quotes in a condition; and a pattern would let other branches in.
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._/-]*$", var.github.branch)) && can(regex("^[A-Za-z0-9][A-Za-z0-9._-]*$", var.github.environment))
    error_message = "github.branch and github.environment are plain names, such as main and prod."
  }
}

variable "cache" {
  description = "Whether this environment will have the shared cache (cache = true in its tfvars), which takes more rights to make."
  type        = bool
  default     = false
}
