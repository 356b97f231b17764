SELECT DIV((UNIX_MICROS(original.`ingest_time`) - @start_micros), @width_micros) AS `bucket`, COUNT(*) AS `records`
FROM `records` AS original
WHERE original.`ingest_time` >= @from_us
    AND original.`ingest_time` < @to_us
    AND (original.`ingest_time` < @after_us OR (original.`ingest_time` = @after_us AND original.`delivery_key` < @after_key))
    AND original.`attributes` IS NOT NULL
    AND SAFE_CAST(TO_JSON_STRING(JSON_QUERY(original.`data`, '$."items"[0]."price"')) AS FLOAT64) > @f1
    AND JSON_VALUE(original.`data`, '$."name"') = @f2
    AND STARTS_WITH(original.`id`, @f3)
    AND original.`message_id` IN (@f4_0, @f4_1)
    AND original.`ordering_key` IS NULL
    AND (original.`source` IS NULL OR original.`source` != @f6)
    AND original.`timestamp` >= @f7_us
GROUP BY `bucket`
ORDER BY `bucket`
