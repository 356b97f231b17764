# Several record types in one deployment. Without them there is one, which record_type names.

variable "streams" {
  description = "Several record types in one deployment (README.md, \"Several streams\"), by their names in SLUICE_STREAMS. What a stream leaves out is as for a single type. Empty: the one type of record_type."
  type = map(object({
    schema_file     = optional(string)      # in this folder; else streams/NAME.schema.json, and table.schema.json for records
    record_id       = optional(string)      # the column that is the record's id; "": the type has none
    record_deleted  = optional(string)      # the column that marks tombstones; "": the type has none
    record_sequence = optional(string)      # the column that ranks the versions of an id; "": the type has none
    retention_days  = optional(number)      # as in SLUICE_STREAMS
    topic           = optional(string)      # the stream whose topic it shares, or projects/…/topics/…; else one of its own
    filter          = optional(string)      # which messages of a shared topic are its own, by their attributes
    publishers      = optional(set(string)) # of its own topic
    pushes          = optional(bool, true)  # false until the image that runs declares the stream
    topic_schema = optional(object({
      type       = string
      definition = string
      encoding   = optional(string, "JSON")
    }))
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.streams) <= 200 && alltrue([for name in keys(var.streams) : can(regex("^[a-z][a-z0-9_]{0,62}$", name)) && name != "records_rejected"])
    error_message = "At most 200 streams, each with a name of 1 to 63 characters of a-z, 0-9 and _ that begins with a letter and is not records_rejected: it is also the name of the table."
  }

  validation {
    condition     = length(setintersection(keys(var.streams), [for name in keys(var.streams) : "${name}_recent"])) == 0
    error_message = "No stream may be called NAME_recent beside a stream NAME: that is the view of its last seven days."
  }

  validation {
    condition     = alltrue([for stream in values(var.streams) : stream.retention_days == null ? true : stream.retention_days >= 1 && stream.retention_days <= 415])
    error_message = "A stream's retention_days is 1 to 415: a table has hourly partitions, and BigQuery takes 10,000 of them."
  }

  validation {
    condition     = alltrue([for stream in values(var.streams) : stream.topic == null || can(regex("^projects/[^/]+/topics/[^/]+$", stream.topic)) || try(var.streams[stream.topic].topic == null, false)])
    error_message = "A stream's topic is the name of a stream that has a topic of its own, or an existing topic as projects/PROJECT/topics/NAME. Without it the stream gets one."
  }

  validation {
    # Each would be pushed all messages, and store or reject those of the others.
    condition     = alltrue([for name, stream in var.streams : stream.filter != null || length([for key, other in var.streams : key if coalesce(other.topic, key) == coalesce(stream.topic, name)]) == 1])
    error_message = "Each stream of a shared topic needs a filter, such as attributes.stream = \"orders\". A deployed subscription without one cannot get one: share another stream's topic."
  }

  validation {
    condition     = alltrue([for stream in values(var.streams) : stream.filter == null ? true : length(stream.filter) >= 1 && length(stream.filter) <= 256])
    error_message = "A filter has 1 to 256 characters."
  }

  validation {
    condition     = alltrue([for stream in values(var.streams) : stream.topic == null || (stream.publishers == null && stream.topic_schema == null)])
    error_message = "publishers and topic_schema are for a stream with a topic of its own: say them of the stream whose topic it is, or where an existing topic is made."
  }

  validation {
    condition     = alltrue(flatten([for stream in values(var.streams) : [for member in coalesce(stream.publishers, []) : can(regex("^(serviceAccount|user|group|domain|principal|principalSet):", member))]]))
    error_message = "publishers are IAM members such as serviceAccount:…; never allUsers or allAuthenticatedUsers."
  }

  validation {
    condition     = alltrue([for stream in values(var.streams) : stream.topic_schema == null ? true : contains(["AVRO", "PROTOCOL_BUFFER"], stream.topic_schema.type) && stream.topic_schema.encoding == "JSON"])
    error_message = "A topic_schema's type is AVRO or PROTOCOL_BUFFER, and its encoding JSON: the service reads JSON."
  }
}

variable "streams_module" {
  description = "The mapping from names to record types, package.module:NAME, with streams: SLUICE_STREAMS. Deploy an image that has it before."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = length(var.streams) == 0 ? var.streams_module == "" : can(regex("^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$", var.streams_module))
    error_message = "With streams, package.module:NAME such as shop.streams:STREAMS; without, nothing: a single type is record_type."
  }
}

variable "heartbeat_stream" {
  description = "With streams, the stream whose topic gets the canaries (heartbeat): the first one of SLUICE_STREAMS, as the service measures no other."
  type        = string
  default     = "records"
  nullable    = false

  validation {
    condition     = !local.publishes_canaries || !local.has_streams || try(local.own_topics[var.heartbeat_stream].filter == null, false)
    error_message = "The canary needs a stream with a topic of its own and without a filter, which would drop it: name the first one of SLUICE_STREAMS, or set heartbeat = null."
  }
}
