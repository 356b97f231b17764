WITH original AS (
  SELECT `id`, `timestamp`, `source`, `data`, `subscription_name`, `message_id`, `publish_time`, `attributes`, `ordering_key`, `message_index`, `delivery_key`, `ingest_time`, `trace_id`
  FROM `records`
  WHERE `ingest_time` >= @lookback_from_us
    AND `ingest_time` < @to_us
    AND `id` = @id
    AND `ingest_time` IN (@at_0_us, @at_1_us)
  QUALIFY LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`) IS NULL
    OR LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`) < TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
)
SELECT original.`id`, original.`timestamp`, original.`source`, original.`data`, original.`subscription_name`, original.`message_id`, original.`publish_time`, original.`attributes`, original.`ordering_key`, original.`message_index`, original.`delivery_key`, original.`ingest_time`, original.`trace_id`
FROM original
WHERE original.`ingest_time` >= @from_us
ORDER BY original.`ingest_time` DESC, original.`delivery_key` DESC
LIMIT @row_limit
