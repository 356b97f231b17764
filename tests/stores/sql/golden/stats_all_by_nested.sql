WITH original AS (
  SELECT `ingest_time`, `site`, `price`, `number`, `level`, `source`
  FROM `records`
  WHERE `ingest_time` >= @lookback_from_us
    AND `ingest_time` < @to_us
  QUALIFY LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`) IS NULL
    OR LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`) < TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
), measured AS (
  SELECT DIV((UNIX_MICROS(original.`ingest_time`) - @first_micros), @bucket_micros) AS `bucket`,
    original.`site`.`floor` AS `group_key`,
    original.`price` AS `value_0`,
    original.`number` AS `value_1`,
    original.`site`.`floor` AS `value_2`,
    original.`level` AS `value_3`,
    original.`source` AS `value_4`
  FROM original
  WHERE original.`ingest_time` >= @from_us
    AND original.`site`.`floor` IS NOT NULL
    AND original.`source` IN (@f1_0, @f1_1)
), counted AS (
  SELECT measured.`group_key`, COUNT(*) AS `group_records`
  FROM measured
  GROUP BY measured.`group_key`
), largest AS (
  SELECT counted.`group_key`, counted.`group_records`
  FROM counted
  ORDER BY counted.`group_records` DESC, counted.`group_key`
  LIMIT 50
), placed AS (
  SELECT largest.`group_key`,
    ROW_NUMBER() OVER (ORDER BY largest.`group_records` DESC, largest.`group_key`) AS `place`,
    (SELECT COUNT(*) FROM counted) AS `group_count`
  FROM largest
)
SELECT placed.`place`, placed.`group_key`, placed.`group_count`, measured.`bucket`,
  COUNT(*) AS `records`,
  LEAST(APPROX_QUANTILES(CAST(measured.`value_0` AS FLOAT64), 100)[OFFSET(95)], MAX(CAST(measured.`value_0` AS FLOAT64))) AS `metric_0`,
  AVG(CAST(measured.`value_0` AS FLOAT64)) AS `metric_2`,
  AVG(measured.`value_1`) AS `metric_3`,
  MIN(measured.`value_2`) AS `metric_4`,
  MAX(measured.`value_2`) AS `metric_5`,
  LEAST(APPROX_QUANTILES(CAST(measured.`value_3` AS FLOAT64), 100)[OFFSET(50)], MAX(CAST(measured.`value_3` AS FLOAT64))) AS `metric_6`,
  SUM(CAST(measured.`value_1` AS NUMERIC)) AS `metric_7`,
  SUM(CAST(measured.`value_0` AS FLOAT64)) AS `metric_8`,
  APPROX_COUNT_DISTINCT(measured.`value_4`) AS `metric_9`
FROM measured
JOIN placed ON placed.`group_key` IS NOT DISTINCT FROM measured.`group_key`
GROUP BY placed.`place`, placed.`group_key`, placed.`group_count`, measured.`bucket`
