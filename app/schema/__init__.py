"""Derive everything from one declaration; store-specific schemas are in the store's package (app.stores).

    columns    the walk: msgspec.inspect over a Struct -> Column, or a refusal with path and reason
    refusals   why a declaration is refused, part by part, and what to declare instead
    undeclared_members  the policy for members that a type does not declare: rejected, dropped, or kept in a rest
      found in the bytes of a record, and counted by path
    table      a table: the record's columns and the envelope's; the service's two; the version of its rows' shape
    versions   what a declaration of several versions of a type must say, and their JSON Schema
    pii        the keyed hash of personal data (protection: of a record)
    roles      which columns can be promoted, and which remain of personal data
    values     values that a store cannot hold although the type allows them (an integer beyond 64 bits, ...)
    filters    -> which fields may be filtered and aggregated, and by which operators
    json_schema -> what producers may send
    example    -> an example record and row, verified by the type's own decoder

`sluice schema bigquery|proto|duckdb|jsonschema|filters` prints each of them (sluice.cli.schema).
"""
