SELECT `delivery_key`
FROM `records`
WHERE `ingest_time` >= @from_us
    AND `ingest_time` < @to_us
    AND STARTS_WITH(`delivery_key`, @f0)
