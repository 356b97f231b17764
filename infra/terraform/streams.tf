# The streams of var.streams, or the single type, which is the stream `records` (docs/streams.md). Each has a table, a
# table function, a subscription, dead letters and, unless it names another, a topic.

locals {
  has_streams = length(var.streams) > 0

  # What a stream leaves out is as for a single type. `records` keeps the names and the keys that a single type has, so
  # that the change to several streams replaces nothing. No system has a dot in its name, so NAME.STREAM is no other system's.
  streams = { for name in local.has_streams ? keys(var.streams) : ["records"] : name => {
    suffix         = name == "records" ? "" : ".${name}"
    prefix         = name == "records" ? "" : "${name} "
    schema         = try(coalesce(var.streams[name].schema_file), name == "records" ? "table.schema.json" : "streams/${name}.schema.json")
    record_id      = try(var.streams[name].record_id, null) == null ? var.record_id : var.streams[name].record_id
    deleted        = try(var.streams[name].record_deleted, null) == null ? var.record_deleted : var.streams[name].record_deleted
    sequence       = try(var.streams[name].record_sequence, null) == null ? var.record_sequence : var.streams[name].record_sequence
    retention_days = try(coalesce(var.streams[name].retention_days), local.clocks.retention_days)
    topic          = try(coalesce(var.streams[name].topic), name) # a stream that has a topic of its own, or projects/…
    filter         = try(var.streams[name].filter, null)
    publishers     = try(var.streams[name].publishers, null) == null ? var.publishers : var.streams[name].publishers
    topic_schema   = name == "records" && try(var.streams[name].topic_schema, null) == null ? var.topic_schema : try(var.streams[name].topic_schema, null)
    push_path      = local.has_streams ? "/pubsub/push/${name}" : "/pubsub/push"
    pushes         = try(var.streams[name].pushes, true)
  } }

  own_topics = { for name, stream in local.streams : name => stream if stream.topic == name }
  topic_ids  = { for name, stream in local.streams : name => startswith(stream.topic, "projects/") ? stream.topic : google_pubsub_topic.main[stream.topic].id }

  # The service measures canaries of its default stream, which only SLUICE_STREAMS knows.
  heartbeat_stream = local.has_streams ? var.heartbeat_stream : "records"

  # For what is said of one stream only, as by the outputs that a single type has.
  shown_stream = contains(keys(local.streams), local.heartbeat_stream) ? local.heartbeat_stream : keys(local.streams)[0]
}
