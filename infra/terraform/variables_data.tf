# The topic and the tables.

variable "location" {
  description = "Where the dataset is: a region, or EU or US. It can never be changed."
  type        = string
  default     = "EU"
}

variable "dataset" {
  description = "The dataset's name. Empty: the system's name, with _ for -."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[A-Za-z0-9_]*$", var.dataset))
    error_message = "BigQuery takes letters, digits and _ in a dataset's name."
  }
}

variable "retention_days" {
  description = "How long records are kept, and rejects for 30 days of it at most; with streams, the records of those that say nothing else."
  type        = number
  default     = 400

  validation {
    # Hourly partitions, of which BigQuery takes 10,000 in a table.
    condition     = var.retention_days >= 1 && var.retention_days <= 415
    error_message = "1 to 415 days: a table has hourly partitions, and BigQuery takes 10,000 of them."
  }
}

variable "record_type" {
  description = "The record type, package.module:Type; with streams it is not used. With one of your own, write its columns to table.schema.json (README.md, \"A record type of your own\")."
  type        = string
  default     = "app.record:Record"

  validation {
    condition     = can(regex("^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$", var.record_type))
    error_message = "package.module:Type, such as orders:Order."
  }
}

variable "schema_folder" {
  description = "Where the columns of record types are: table.schema.json and streams/NAME.schema.json. Empty: this folder. A configuration that uses this one as a module keeps its own and says path.root."
  type        = string
  default     = ""
}

variable "record_id" {
  description = "The column that is the record's id, which the search index is of; with streams, of those that name none. Empty: the type has none."
  type        = string
  default     = "id"
}

variable "record_deleted" {
  description = "The column with the role deleted, which marks tombstones; with streams, of those that name none. Empty: the type has none."
  type        = string
  default     = ""
}

variable "record_sequence" {
  description = "The column with the role sequence, which ranks the versions of an id; with streams, of those that name none. Empty: the type has none."
  type        = string
  default     = ""
}

variable "id_index" {
  description = "Whether the service relies on a search index on the id of each table of records, by which GET /v1/records/{id} finds an id of any age. `sluice schema index --apply` makes the indexes, and the deploy workflow runs it. Without them a look-up reads two columns as far back as ten times SLUICE_QUERY_MAX_BYTES_BILLED allows."
  type        = bool
  default     = true
}

variable "dataset_readers" {
  description = "IAM members that may query the dataset directly, such as group:analysts@example.com."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.dataset_readers : can(regex("^(serviceAccount|user|group|domain|principal|principalSet):", member))])
    error_message = "IAM members such as group:… or serviceAccount:…; never allUsers or allAuthenticatedUsers."
  }
}

variable "publishers" {
  description = "IAM members that may publish to the topic; with streams, to the topics of those that name no publishers. Such as serviceAccount:shop@my-project.iam.gserviceaccount.com."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.publishers : can(regex("^(serviceAccount|user|group|domain|principal|principalSet):", member))])
    error_message = "IAM members such as serviceAccount:…; never allUsers or allAuthenticatedUsers."
  }
}

variable "topic_schema" {
  description = "A schema by which Pub/Sub itself refuses messages when they are published (with streams: to the topic of records); null for none. What the service refuses is kept with its reason, so most do without."
  type = object({
    type       = string                   # AVRO or PROTOCOL_BUFFER
    definition = string                   # the schema's text; file(…) does not work in tfvars
    encoding   = optional(string, "JSON") # or BINARY, which the service does not read
  })
  default = null

  validation {
    condition     = var.topic_schema == null ? true : contains(["AVRO", "PROTOCOL_BUFFER"], var.topic_schema.type) && var.topic_schema.encoding == "JSON"
    error_message = "type is AVRO or PROTOCOL_BUFFER, and encoding JSON: the service reads JSON."
  }
}

variable "allowed_persistence_regions" {
  description = "Regions in which Pub/Sub may keep messages, wherever they are published. null: region. []: any."
  type        = set(string)
  default     = null
}

variable "secret_regions" {
  description = "Regions that keep the values of the secrets. Empty: region. Others later mean other secrets, whose values must be added again."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.secret_regions : can(regex("^[a-z]+-[a-z]+[0-9]+$", region))])
    error_message = "Regions, such as europe-west1; automatic replication, which is global, is not offered."
  }
}

variable "unacked_days" {
  description = "How long Pub/Sub keeps messages that the service has not taken: the longest outage that loses nothing."
  type        = number
  default     = 7

  validation {
    condition     = var.unacked_days >= 1 && var.unacked_days <= 31
    error_message = "1 to 31 days."
  }
}

variable "dead_letter_days" {
  description = "How long dead letters are kept for `sluice redrive`."
  type        = number
  default     = 31

  validation {
    condition     = var.dead_letter_days >= 7 && var.dead_letter_days <= 31
    error_message = "7 to 31 days: somebody must have the time to look at them."
  }
}

variable "heartbeat" {
  description = "A record that is published every minute to measure the whole way from Pub/Sub to the feed. It must be one that the record type accepts. null for none."
  type        = string
  default     = "{\"id\":\"heartbeat\",\"timestamp\":\"2000-01-01T00:00:00Z\",\"source\":\"heartbeat\"}"

  validation {
    condition     = var.heartbeat == null ? true : can(jsondecode(var.heartbeat))
    error_message = "A record as JSON."
  }
}

variable "simulated_source" {
  description = "Ordinary records that Cloud Scheduler publishes as one message, so that there is something to see without a producer. null: none."
  type = object({
    records  = string                               # JSON: a record, or an array of them, that the record type accepts
    schedule = optional(string, "*/5 6-17 * * 1-5") # in UTC; around the clock it would keep an instance awake
  })
  default = null

  validation {
    condition     = var.simulated_source == null ? true : can(jsondecode(var.simulated_source.records))
    error_message = "records of simulated_source is JSON: a record, or an array of them."
  }
}
