SELECT `ingest_time`
FROM `records`
WHERE `ingest_time` >= @lookback_from_us
    AND `ingest_time` < @to_us
    AND `id` = @id
ORDER BY `ingest_time` DESC
LIMIT @row_limit
