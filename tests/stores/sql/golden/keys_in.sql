SELECT `delivery_key`
FROM `records`
WHERE `ingest_time` >= @from_us
    AND `ingest_time` < @to_us
    AND `delivery_key` IN (@f0_0, @f0_1)
