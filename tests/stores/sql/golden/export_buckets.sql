SELECT DIV((UNIX_MICROS(original.`ingest_time`) - @start_micros), @width_micros) AS `bucket`, COUNT(*) AS `records`
FROM `records` AS original
WHERE original.`ingest_time` >= @from_us
    AND original.`ingest_time` < @to_us
GROUP BY `bucket`
ORDER BY `bucket`
