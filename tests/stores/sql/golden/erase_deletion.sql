DELETE FROM `records`
WHERE `ingest_time` >= @from_us
    AND `ingest_time` <= @to_us
    AND `id` = @f0
