CREATE TABLE IF NOT EXISTS "records" (
  "id" VARCHAR NOT NULL,
  "timestamp" TIMESTAMP NOT NULL,
  "source" VARCHAR,
  "data" JSON,
  "subscription_name" VARCHAR,
  "message_id" VARCHAR,
  "publish_time" TIMESTAMP,
  "attributes" JSON NOT NULL,
  "ordering_key" VARCHAR,
  "message_index" BIGINT NOT NULL,
  "delivery_key" VARCHAR NOT NULL,
  "ingest_time" TIMESTAMP NOT NULL,
  "trace_id" VARCHAR,
  "_sluice_id_hash" UINTEGER
);
