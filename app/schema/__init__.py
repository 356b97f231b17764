"""One declaration, everything derived.

    columns    the walk: msgspec.inspect over a Struct -> Column, or a refusal with path and reason
    refusals   why a declaration is refused, and what to declare instead
    undeclared what becomes of members that a type does not declare: rejected, or dropped and counted
    table      a table: the record's columns and the envelope's; the two tables of the service
    checks     what a store cannot hold although the type allows it (an integer beyond 64 bits, ...)
    ids        the text of an id, in a path, and the value its column holds
    decimals   the text of a NUMERIC value
    bigquery   -> the schema JSON that `bq` and Terraform take
    protobuf   -> the writer schema of the Storage Write API
    duckdb     -> DDL and the INSERT that reads rows from JSON
    filters    -> which fields may be filtered and aggregated, and by which operators
    example    -> a record and a row to show, proved by the type's own decoder
      plain_values, pattern: the plainest value of a type; a text that a regular expression matches
    layout     -> partitions and clustering in BigQuery
    live       the table as it is in BigQuery beside the declaration: what differs, and whether it breaks

`python -m app.schema bigquery|proto|duckdb|jsonschema|filters` prints each of them, `… diff` the differences.
"""
