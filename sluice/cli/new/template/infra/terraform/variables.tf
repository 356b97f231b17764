# What the environments decide. A variable of the module that is missing here is added here, and in main.tf.

variable "project_id" {
  description = "The Google Cloud project of the environment."
  type        = string
}

variable "project_number" {
  description = "Its number."
  type        = string
}

variable "region" {
  description = "Where the service runs, such as europe-west1."
  type        = string
}

variable "location" {
  description = "Where the dataset is: a region, or EU or US. It can never be changed."
  type        = string
}

variable "environment" {
  description = "dev, staging or prod."
  type        = string
}

variable "system" {
  description = "What the service is called, with which every other name begins; the preflight reads it in the tfvars."
  type        = string
}

variable "streams_module" {
  description = "With several record types: their mapping, such as orders:STREAMS, and no SLUICE_RECORD in Dockerfile."
  type        = string
  default     = ""
}

variable "streams" {
  description = "With several record types: what Google Cloud has for each, by the names of the mapping; the module lists the options."
  type        = any
  default     = {}
}

variable "on_call" {
  description = "Who is notified when something is wrong."
  type        = any
}

variable "operations_url" {
  description = "Where people on call can read the run-book; alerts link to it."
  type        = string
}

variable "pushes" {
  description = "Whether Pub/Sub pushes to the service: set it once the first image is deployed."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete what holds data."
  type        = bool
  default     = true
}

variable "retention_days" {
  description = "How long records and rejects are kept."
  type        = number
  default     = 400
}

variable "instances" {
  description = "How many instances there are: at least, and at most."
  type        = object({ min = number, max = number })
  default     = { min = 1, max = 10 }
}

variable "simulated_source" {
  description = "Orders that Cloud Scheduler publishes, so that there is something to see without a producer."
  type        = any
  default     = null
}

variable "slack_token" {
  description = "Slack's token, where on_call names a channel of it."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null
}

variable "pagerduty_key" {
  description = "PagerDuty's integration key, where on_call names it."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null
}
