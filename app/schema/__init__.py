"""Derive everything from one declaration; store-specific schemas are in the store's package (app.stores).

    columns    the walk: msgspec.inspect over a Struct -> Column, or a refusal with path and reason
    type_info  what msgspec says about a declaration, with every part that it refuses
    refusals   why a declaration is refused, and what to declare instead
    undeclared_members  the policy for members that a type does not declare: rejected, dropped, or kept in a rest
      undeclared_reader, seen_members: found in the bytes of a record; counted by path, within bounds
      promotion: which columns may read the rest's members
    table      a table: the record's columns and the envelope's; the service's two; the version of its rows' shape
    versions   what a declaration of several versions of a type must say, and their JSON Schema
    pii        the keyed hash of personal data (personal_columns: which columns remain of it; protection: of a record)
    checks     values that a store cannot hold although the type allows them (an integer beyond 64 bits, ...)
    ids        the text of an id, in a path, and the value its column holds
    decimals   the text of a NUMERIC value
    filters    -> which fields may be filtered and aggregated, and by which operators
    json_schema -> what producers may send
    example    -> an example record and row, verified by the type's own decoder
      plain_values: the simplest value of a type

`sluice schema bigquery|proto|duckdb|jsonschema|filters` prints each of them (sluice.cli.schema).
"""
