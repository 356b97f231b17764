SELECT original.`id`, original.`timestamp`, original.`source`, original.`data`, original.`subscription_name`, original.`message_id`, original.`publish_time`, original.`attributes`, original.`ordering_key`, original.`message_index`, original.`delivery_key`, original.`ingest_time`, original.`trace_id`
FROM `records` AS original
WHERE original.`ingest_time` >= @from_us
    AND original.`ingest_time` < @to_us
    AND (original.`ingest_time` < @after_us OR (original.`ingest_time` = @after_us AND original.`delivery_key` < @after_key))
    AND NOT EXISTS (
      SELECT 1
      FROM `records` AS earlier
      WHERE earlier.`delivery_key` = original.`delivery_key`
        AND earlier.`ingest_time` >= @lookback_from_us
        AND earlier.`ingest_time` < @to_us
        AND earlier.`ingest_time` < original.`ingest_time`
        AND earlier.`ingest_time` >= TIMESTAMP_SUB(original.`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
    )
QUALIFY ROW_NUMBER() OVER (PARTITION BY original.`ingest_time`, original.`delivery_key`) = 1
ORDER BY original.`ingest_time` DESC, original.`delivery_key` DESC
LIMIT @row_limit
