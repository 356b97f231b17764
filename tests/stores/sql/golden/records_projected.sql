SELECT original.`id`, original.`delivery_key`, original.`ingest_time`
FROM `records` AS original
WHERE original.`ingest_time` >= @from_us
    AND original.`ingest_time` < @to_us
    AND (JSON_VALUE(original.`data`, '$."a"') IS NULL OR JSON_VALUE(original.`data`, '$."a"') != @f0)
    AND original.`id` = @f1
    AND original.`source` IS NULL
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
ORDER BY original.`ingest_time`, original.`delivery_key`
LIMIT @row_limit
