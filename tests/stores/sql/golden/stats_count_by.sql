WITH original AS (
  SELECT `ingest_time`, `source`
  FROM `records`
  WHERE `ingest_time` >= @lookback_from_us
    AND `ingest_time` < @to_us
  QUALIFY LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`) IS NULL
    OR LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`) < TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
), measured AS (
  SELECT DIV((UNIX_MICROS(original.`ingest_time`) - @first_micros), @bucket_micros) AS `bucket`,
    original.`source` AS `group_key`
  FROM original
  WHERE original.`ingest_time` >= @from_us
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
  COUNT(*) AS `records`
FROM measured
JOIN placed ON placed.`group_key` IS NOT DISTINCT FROM measured.`group_key`
GROUP BY placed.`place`, placed.`group_key`, placed.`group_count`, measured.`bucket`
