SELECT *
FROM `${table}`
WHERE ingest_time >= TIMESTAMP_SUB(${since}, INTERVAL ${look_back_s} SECOND)
  AND ingest_time < ${until}
  AND NOT STARTS_WITH(delivery_key, 'heartbeat:')
QUALIFY ingest_time >= ${since}
  AND IFNULL(
    TIMESTAMP_DIFF(
      ingest_time,
      LAG(ingest_time) OVER (PARTITION BY delivery_key ORDER BY ingest_time),
      MICROSECOND
    ) > ${look_back_s} * 1000000,
    TRUE
  )
