WITH candidate AS (
SELECT `reason`, `detail`, `field`, `payload`, `part`, `parts`, `stream`, `subscription_name`, `message_id`, `publish_time`, `attributes`, `ordering_key`, `message_index`, `delivery_key`, `ingest_time`, `trace_id`
FROM `records_rejected`
WHERE `ingest_time` >= @from_us
    AND `ingest_time` < @to_us
    AND (`ingest_time` > @after_us OR (`ingest_time` = @after_us AND `delivery_key` > @after_key))
ORDER BY `ingest_time`, `delivery_key`
LIMIT @candidates
), copies AS (
  SELECT DISTINCT candidate.`ingest_time`, candidate.`delivery_key`
  FROM candidate
  JOIN `records_rejected` AS earlier ON earlier.`delivery_key` = candidate.`delivery_key`
  WHERE earlier.`ingest_time` >= @lookback_from_us
    AND earlier.`ingest_time` < @to_us
    AND earlier.`ingest_time` < candidate.`ingest_time`
    AND earlier.`ingest_time` >= TIMESTAMP_SUB(candidate.`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
)
SELECT candidate.`reason`, candidate.`detail`, candidate.`field`, candidate.`payload`, candidate.`part`, candidate.`parts`, candidate.`stream`, candidate.`subscription_name`, candidate.`message_id`, candidate.`publish_time`, candidate.`attributes`, candidate.`ordering_key`, candidate.`message_index`, candidate.`delivery_key`, candidate.`ingest_time`, candidate.`trace_id`,
  copies.`delivery_key` IS NOT NULL AS `_sluice_is_copy`,
  COUNT(*) OVER () AS `_sluice_candidates`
FROM candidate
LEFT JOIN copies ON copies.`ingest_time` = candidate.`ingest_time` AND copies.`delivery_key` = candidate.`delivery_key`
WHERE TRUE
QUALIFY copies.`delivery_key` IS NULL OR ROW_NUMBER() OVER (ORDER BY candidate.`ingest_time` DESC, candidate.`delivery_key` DESC) = 1
ORDER BY candidate.`ingest_time`, candidate.`delivery_key`
LIMIT @row_limit
