# Who is notified, and what is watched.

variable "on_call" {
  description = "Who is notified when something is wrong: `page` of what cannot wait until the morning, `tickets` of everything else. Without `tickets`, `page` gets both. `existing` names channels made elsewhere, such as a Slack channel that was authorised in the console."
  type = object({
    page = object({
      emails    = optional(set(string), [])
      sms       = optional(set(string), []) # +491701234567
      slack     = optional(set(string), []) # #channel; var.slack_token goes with it
      pagerduty = optional(bool, false)     # var.pagerduty_key goes with it
      existing  = optional(set(string), []) # projects/P/notificationChannels/N
    })
    tickets = optional(object({
      emails    = optional(set(string), [])
      sms       = optional(set(string), [])
      slack     = optional(set(string), [])
      pagerduty = optional(bool, false)
      existing  = optional(set(string), [])
    }))
  })

  validation {
    condition     = alltrue([for told in var.on_call : length(told.emails) + length(told.sms) + length(told.slack) + length(told.existing) + (told.pagerduty ? 1 : 0) > 0 if told != null])
    error_message = "Name at least one channel in page, such as { emails = [\"on-call@example.com\"] }, and in tickets, unless you leave it out: an alert that reaches nobody is none."
  }

  validation {
    condition     = alltrue(flatten([for told in var.on_call : [for email in told.emails : can(regex("^[^@\\s]+@[^@\\s]+[.][^@\\s]+$", email))] if told != null]))
    error_message = "emails of on_call holds e-mail addresses."
  }

  validation {
    condition     = alltrue(flatten([for told in var.on_call : [for number in told.sms : can(regex("^[+][1-9][0-9]{6,14}$", number))] if told != null]))
    error_message = "sms of on_call holds numbers with the country's code, such as +491701234567."
  }

  validation {
    condition     = alltrue(flatten([for told in var.on_call : [for channel in told.slack : startswith(channel, "#")] if told != null]))
    error_message = "slack of on_call holds names of channels, such as \"#on-call\"."
  }

  validation {
    condition     = alltrue(flatten([for told in var.on_call : [for name in told.existing : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", name))] if told != null]))
    error_message = "existing of on_call holds full names: gcloud beta monitoring channels list --format='value(name)'."
  }
}

variable "slack_token" {
  description = "Slack's token, given as TF_VAR_slack_token. It is sent to Cloud Monitoring and kept neither in the plan nor in the state."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null

  validation {
    condition     = length(local.slack) == 0 || try(length(var.slack_token) > 0, false)
    error_message = "on_call names a Slack channel, and its token is missing: set TF_VAR_slack_token, or in GitHub the secret SLACK_TOKEN (of the repository, if that of the environment does not arrive)."
  }
}

variable "pagerduty_key" {
  description = "PagerDuty's integration key, given as TF_VAR_pagerduty_key; kept nowhere either."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null

  validation {
    condition     = !local.pagerduty || try(length(var.pagerduty_key) > 0, false)
    error_message = "on_call names PagerDuty, and its key is missing: set TF_VAR_pagerduty_key, or in GitHub the secret PAGERDUTY_KEY (of the repository, if that of the environment does not arrive)."
  }
}

variable "channel_secrets_version" {
  description = "Raise it when slack_token or pagerduty_key changes: Terraform cannot see that they did."
  type        = number
  default     = 1
}

variable "watched_systems" {
  description = "Which systems of the project the dashboard and the alerts made here watch; one set of them is enough for a project. null: this one. []: none are made here, as another system's configuration makes them. Name another system once its pushes are on: until then its messages wait, and the backlog alert would fire."
  type        = set(string)
  default     = null
}

variable "objectives" {
  description = "Whether objectives are made, once pushes are on. An objective on a metric that was never written is refused: set this to false for an apply that comes before the first revision that writes it."
  type        = bool
  default     = true
}

variable "fixed_limits" {
  description = "Whether there is an alert on fixed limits, besides those on the objectives: a mean time to storage above 5 s, a 95th percentile of the API above 500 ms, a mean query time above 2 s, or more than 1 % of 5xx."
  type        = bool
  default     = true
}

variable "metrics" {
  description = "SLUICE_METRICS: `cloud` (Cloud Monitoring), `prometheus` (served at /metrics), `otlp` (a collector). Alerts and objectives need `cloud`."
  type        = set(string)
  default     = ["cloud"]

  validation {
    condition     = length(setsubtract(var.metrics, ["cloud", "otlp", "prometheus"])) == 0
    error_message = "metrics holds cloud, otlp and prometheus."
  }
}

variable "traces" {
  description = "SLUICE_TRACES: `cloud` (Cloud Trace, through its own API), `cloud-otlp` (Cloud Trace, through the Telemetry API), `otlp` (a collector) or `none`."
  type        = string
  default     = "cloud"

  validation {
    condition     = contains(["cloud", "cloud-otlp", "none", "otlp"], var.traces)
    error_message = "traces is cloud, cloud-otlp, otlp or none."
  }
}

variable "operations_url" {
  description = "Where people on call can read docs/runbook.md; alerts link to it."
  type        = string

  validation {
    condition     = can(regex("^https://[^#\\s]+$", var.operations_url))
    error_message = "An https address without an anchor, such as https://github.com/my-company/sluice/blob/main/docs/runbook.md."
  }
}

variable "query_bytes_per_hour" {
  description = "How many bytes the queries of one system may read in an hour before somebody is to look."
  type        = number
  default     = 107374182400 # 100 GiB
}

variable "budget" {
  description = "A budget for the project: the e-mail addresses of on_call hear when half of it, nine tenths, and all of it is spent. null for none."
  type = object({
    billing_account = string # XXXXXX-XXXXXX-XXXXXX
    monthly         = number
    currency        = optional(string) # the billing account's, which is also the default
  })
  default = null

  validation {
    condition     = var.budget == null ? true : can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account)) && var.budget.monthly > 0
    error_message = "billing_account as gcloud billing accounts list prints it, and monthly above 0."
  }
}
