CREATE TABLE IF NOT EXISTS "records_rejected" (
  "reason" VARCHAR NOT NULL,
  "detail" VARCHAR NOT NULL,
  "field" VARCHAR,
  "payload" BLOB NOT NULL,
  "part" BIGINT NOT NULL,
  "parts" BIGINT NOT NULL,
  "stream" VARCHAR,
  "subscription_name" VARCHAR,
  "message_id" VARCHAR,
  "publish_time" TIMESTAMP,
  "attributes" JSON NOT NULL,
  "ordering_key" VARCHAR,
  "message_index" BIGINT NOT NULL,
  "delivery_key" VARCHAR NOT NULL,
  "ingest_time" TIMESTAMP NOT NULL,
  "trace_id" VARCHAR
);
