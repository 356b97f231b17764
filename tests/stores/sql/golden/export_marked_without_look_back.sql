SELECT original.`id`, original.`ingest_time`,
  FALSE AS `_sluice_is_copy`
FROM `records` AS original
WHERE original.`ingest_time` >= @from_us
    AND original.`ingest_time` < @to_us
ORDER BY original.`ingest_time` DESC, original.`delivery_key` DESC
