WITH latest AS (
  SELECT *
  FROM (
${records}  )
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY `${id}` ORDER BY ${rank}) = 1
)
SELECT *
FROM latest
WHERE ${alive}
