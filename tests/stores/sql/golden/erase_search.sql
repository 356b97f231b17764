SELECT `ingest_time`, `payload`
FROM `records_rejected`
WHERE `ingest_time` >= @from_us
    AND `ingest_time` <= @to_us
    AND (`parts` > 1 OR STRPOS(TO_HEX(`payload`), @needle_0_hex) > 0 OR STRPOS(TO_HEX(`payload`), @needle_1_hex) > 0 OR STARTS_WITH(TO_HEX(`payload`), @beginning_hex))
