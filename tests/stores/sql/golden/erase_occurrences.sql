SELECT COUNT(*) AS `found`, MIN(`ingest_time`) AS `first`, MAX(`ingest_time`) AS `last`
FROM `records`
WHERE `ingest_time` >= @from_us
    AND `ingest_time` <= @to_us
    AND `id` = @f0
