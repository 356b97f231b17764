# The service: who may call it, how large it is, what it is told.

variable "platform_iam" {
  description = "Who checks callers. \"off\": the service itself verifies every token and key, and Cloud Run lets every request through to it. An organisation that enforces run.managed.requireInvokerIam refuses that: use \"trust\" there. \"trust\": Cloud Run checks first, lets only named members through, and replaces the tokens' signatures by its marker, which the service then believes."
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "trust"], var.platform_iam)
    error_message = "\"off\" or \"trust\". There is no third way: one of the two gates is always closed."
  }
}

variable "keep_invoker_check" {
  description = "For the way from platform_iam = \"trust\" to \"off\" only: leaves Cloud Run's check on until no revision is left that relies on it. Meanwhile the service refuses everybody (README.md, \"From trust to off\")."
  type        = bool
  default     = false
}

variable "invokers" {
  description = "With platform_iam = \"trust\": IAM members that Cloud Run lets through besides the push identity and the deploy workflow, such as serviceAccount:reader@my-project.iam.gserviceaccount.com. What they may do there is still the service's business (api_principals, grants)."
  type        = set(string)
  default     = []

  validation {
    condition     = var.platform_iam == "trust" || var.keep_invoker_check || length(var.invokers) == 0
    error_message = "invokers are for platform_iam = \"trust\": with \"off\" Cloud Run checks nobody, and the service goes by api_principals and the grants."
  }

  validation {
    condition     = alltrue([for member in var.invokers : can(regex("^(serviceAccount|user|group|domain|principal|principalSet):", member))])
    error_message = "Each of invokers is an IAM member such as user:… or serviceAccount:…; allUsers and allAuthenticatedUsers would open the gate that \"trust\" relies on."
  }
}

variable "api_principals" {
  description = "E-mails of Google accounts that may do everything on the API. More callers, with less, stand in the grants (docs/access.md)."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.api_principals : can(regex("^[^@:,\\s]+@[^@:,\\s]+$", email))])
    error_message = "E-mails without user: or serviceAccount: before them."
  }
}

variable "smoke_test" {
  description = "Whether the deploy workflow's identity may use the API: it posts a record to a new revision and reads it back before the revision gets traffic."
  type        = bool
  default     = true

  validation {
    condition     = var.smoke_test || var.grants || length(var.api_principals) > 0
    error_message = "Nobody could use the API, and the service refuses to start like that: name somebody in api_principals, set grants, or leave smoke_test on."
  }
}

variable "grants" {
  description = "Whether the service gets its grants (API keys among them) from the secret. Set it once the secret has a version: a revision with an empty secret does not start (README.md, \"API keys\")."
  type        = bool
  default     = false

  validation {
    condition     = !var.grants || var.platform_iam == "off"
    error_message = "With platform_iam = \"trust\" Cloud Run wants a Google token from every caller, and a request with an API key never arrives: use \"off\" with grants, or api_principals and invokers with \"trust\"."
  }
}

variable "api_audience" {
  description = "The audience that ID tokens for the API must carry. Empty: PROJECT/SYSTEM."
  type        = string
  default     = ""
}

variable "ingress" {
  description = "From where requests are taken: \"all\", \"internal\" (the project's own networks and Pub/Sub), or \"internal-and-cloud-load-balancing\". The deploy workflow tries a new revision at its own URL before it gets traffic: with anything but \"all\" that takes a runner of yours inside (runs-on in deploy.yml), as GitHub's cannot reach it."
  type        = string
  default     = "all"

  validation {
    condition     = contains(["all", "internal", "internal-and-cloud-load-balancing"], var.ingress)
    error_message = "\"all\", \"internal\" or \"internal-and-cloud-load-balancing\"."
  }
}

variable "pushes" {
  description = "Whether Pub/Sub pushes to the service. Set it once the first deployment has all the traffic (docs/deploy.md): what Google's sample is sent is lost."
  type        = bool
  default     = false
  nullable    = false
}

variable "first_image" {
  description = "What runs until the deploy workflow puts its own image there. Google's sample answers every request with 200, which Pub/Sub takes for \"stored\": nothing is pushed before pushes is set."
  type        = string
  default     = "us-docker.pkg.dev/cloudrun/container/hello"
}

variable "services" {
  description = "How many services there are. \"one\": one service does both. \"two\": the same image runs as a service that only ingests (SYSTEM-ingest, which gets the pushes) and one that only answers queries, each with its own size and rights (README.md, \"Two services\")."
  type        = string
  default     = "one"

  validation {
    condition     = contains(["one", "two"], var.services)
    error_message = "\"one\" or \"two\"."
  }
}

variable "ingest_size" {
  description = "The size of the service that ingests, with services = \"two\": as cpu, memory, concurrency and instances say it for the other one. What is left out is the same for both."
  type = object({
    cpu         = optional(string)
    memory      = optional(string)
    concurrency = optional(number)
    instances   = optional(object({ min = number, max = number }))
  })
  default = {}

  validation {
    condition     = var.services == "two" || alltrue([for size in values(var.ingest_size) : size == null])
    error_message = "ingest_size is for services = \"two\"."
  }

  validation {
    condition     = var.ingest_size.instances == null ? true : var.ingest_size.instances.min >= 0 && var.ingest_size.instances.max >= 1 && var.ingest_size.instances.max >= var.ingest_size.instances.min && var.ingest_size.instances.max <= 100
    error_message = "instances.min is at least 0, and instances.max 1 to 100 and not below min."
  }
}

variable "erasure" {
  description = "Whether the service that answers queries may delete rows, with services = \"two\", which DELETE /v1/records/{id} takes. Without it that request ends in 503, and sluice erase with an account of yours erases. With \"one\" the service may in any case, as it appends to the same tables."
  type        = bool
  default     = false
}

variable "image" {
  description = "A published image, by its digest, such as ghcr.io/OWNER/sluice@sha256:…: the notes of each release name it. The service then starts with it instead of first_image, so no deploy workflow is needed. To change it later, set this and run the commands of terraform output -raw update."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(ghcr[.]io/[a-z0-9][a-z0-9._/-]*@sha256:[0-9a-f]{64})?$", var.image))
    error_message = "An image of ghcr.io by its digest, such as ghcr.io/my-company/sluice@sha256:…; a tag can be moved."
  }
}

variable "cpu" {
  description = "Processors of one instance. The service is one process with one loop: more than 2 are of no use."
  type        = string
  default     = "1"

  validation {
    condition     = contains(["1", "2", "4"], var.cpu)
    error_message = "\"1\", \"2\" or \"4\"."
  }
}

variable "memory" {
  description = "Memory of one instance. 1 GiB has room for what the settings allow in flight, in the cache and in answers."
  type        = string
  default     = "1Gi"

  validation {
    condition     = can(regex("^([1-9][0-9]*Gi|(1[0-9]{3}|[6-9][0-9]{2})Mi)$", var.memory))
    error_message = "At least 600Mi, such as 1Gi."
  }
}

variable "concurrency" {
  description = "Requests that one instance works on at once. Pushes wait for the store most of the time."
  type        = number
  default     = 400

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 1000
    error_message = "1 to 1000, which is what Cloud Run allows."
  }
}

variable "instances" {
  description = "How many instances there are: at least, and at most."
  type        = object({ min = number, max = number })
  default     = { min = 1, max = 10 }

  validation {
    condition     = var.instances.min >= 0 && var.instances.max >= 1 && var.instances.max >= var.instances.min
    error_message = "min is at least 0, and max at least 1 and not below min."
  }

  validation {
    # 4 connections to each of two tables from each instance; a region allows 1,000.
    condition     = var.instances.max <= 100
    error_message = "At most 100: more would come near BigQuery's limit of 1,000 connections a region."
  }
}

variable "signing" {
  description = "Whether the service gets the secret that replays of rejected records are signed with. Set it once the secret has a version: a revision with an empty secret does not start (README.md, \"Replays\")."
  type        = bool
  default     = false
}

variable "append_connections" {
  description = "How many connections for appends BigQuery grants this project in the location, once that is more than Google's own: 10,000 in EU and US, 1,000 in a region. Several streams, times instances.max, may need them (docs/performance.md)."
  type        = number
  default     = null

  validation {
    condition     = var.append_connections == null ? true : var.append_connections >= 1
    error_message = "A number of connections, at least 1; null for the quota that every project has."
  }
}

variable "pii_secret_version" {
  description = "Which version of the secret SYSTEM-pii is the key of the hashes of personal data (pii:hash), such as 1; null: no type has any. Set it once the secret has that version: a revision without it does not start (README.md, \"Personal data\")."
  type        = number
  default     = null

  validation {
    # "latest" would change the hashes of the next instance that starts, and equal values would no longer be equal.
    condition     = var.pii_secret_version == null ? true : var.pii_secret_version >= 1 && floor(var.pii_secret_version) == var.pii_secret_version
    error_message = "The number of a version, such as 1, as `gcloud secrets versions list` shows it."
  }
}

variable "settings" {
  description = "Further settings of the service, such as { SLUICE_MAX_READS = \"64\" } (docs/settings.md). Not those that other resources depend on."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^SLUICE_[A-Z_]+$", name))])
    error_message = "Names of settings are SLUICE_ and capital letters; docs/settings.md lists them."
  }

  validation {
    condition     = length(setintersection(keys(var.settings), keys(local.managed_settings))) == 0
    error_message = "One of these settings is set by Terraform, which makes other resources agree with it: use the variable instead. They are: ${join(", ", sort(keys(local.managed_settings)))}."
  }

  validation {
    condition     = !contains(keys(var.settings), "SLUICE_SIGNING_SECRET")
    error_message = "A secret is not for a tfvars file: add it to Secret Manager and set signing (README.md, \"Replays\")."
  }

  validation {
    condition     = !contains(keys(var.settings), "SLUICE_PII_SECRET")
    error_message = "A secret is not for a tfvars file: add it to Secret Manager and set pii_secret_version (README.md, \"Personal data\")."
  }

  validation {
    # Who issues tokens, and where its keys are: with another answer the gate opens to somebody else's tokens.
    condition     = length([for name in keys(var.settings) : name if startswith(name, "SLUICE_TOKEN_")]) == 0
    error_message = "The issuer of tokens and its keys are Google's, and cannot be changed here."
  }
}

variable "trace_ratio" {
  description = "Which part of messages and requests is traced, 0 to 1."
  type        = number
  default     = 0.01

  validation {
    condition     = var.trace_ratio >= 0 && var.trace_ratio <= 1
    error_message = "0 (none) to 1 (all of them)."
  }
}

variable "cache" {
  description = "Whether instances share their cache of answers, and the count of requests, in a Memorystore for Valkey on a network of its own."
  type        = bool
  default     = false
}
