WITH original AS (
  SELECT `ingest_time`
  FROM `records`
  WHERE `ingest_time` >= @lookback_from_us
    AND `ingest_time` < @to_us
  QUALIFY LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`) IS NULL
    OR LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`) < TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
), measured AS (
  SELECT DIV((UNIX_MICROS(original.`ingest_time`) - @first_micros), @bucket_micros) AS `bucket`
  FROM original
  WHERE original.`ingest_time` >= @from_us
)
SELECT measured.`bucket`,
  COUNT(*) AS `records`
FROM measured
GROUP BY measured.`bucket`
