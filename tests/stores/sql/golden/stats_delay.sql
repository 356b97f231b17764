WITH original AS (
  SELECT `ingest_time`, `publish_time`, `level`
  FROM `records`
  WHERE `ingest_time` >= @lookback_from_us
    AND `ingest_time` < @to_us
  QUALIFY LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`) IS NULL
    OR LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`) < TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
), measured AS (
  SELECT DIV((UNIX_MICROS(original.`ingest_time`) - @first_micros), @bucket_micros) AS `bucket`,
    (UNIX_MICROS(original.`ingest_time`) - UNIX_MICROS(original.`publish_time`)) / 1000000 AS `value_0`,
    original.`level` AS `value_1`
  FROM original
  WHERE original.`ingest_time` >= @from_us
)
SELECT measured.`bucket`,
  COUNT(*) AS `records`,
  LEAST(APPROX_QUANTILES(CAST(measured.`value_0` AS FLOAT64), 100)[OFFSET(95)], MAX(CAST(measured.`value_0` AS FLOAT64))) AS `metric_0`,
  MAX(measured.`value_1`) AS `metric_1`,
  AVG(measured.`value_0`) AS `metric_2`
FROM measured
GROUP BY measured.`bucket`
