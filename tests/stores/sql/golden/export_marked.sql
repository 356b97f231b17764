WITH copies AS (
  SELECT `ingest_time`, `delivery_key`
  FROM `records`
  WHERE `ingest_time` >= @lookback_from_us
    AND `ingest_time` < @to_us
  GROUP BY `ingest_time`, `delivery_key`
  QUALIFY LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`) >= TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
)
SELECT original.`id`, original.`ingest_time`,
  listed.`delivery_key` IS NOT NULL AS `_sluice_is_copy`
FROM `records` AS original
LEFT JOIN copies AS listed ON listed.`ingest_time` = original.`ingest_time` AND listed.`delivery_key` = original.`delivery_key`
WHERE original.`ingest_time` >= @from_us
    AND original.`ingest_time` < @to_us
ORDER BY original.`ingest_time`, original.`delivery_key`
LIMIT @row_limit
