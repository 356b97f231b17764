"""Derive everything from one declaration; store-specific schemas are in the store's package (app.stores).

    columns             the walk: msgspec.inspect over a Struct -> Column, or a refusal with path and reason
    refusals            why a declaration is refused, and what to declare instead
    undeclared_members  what becomes of members that a type does not declare: rejected, dropped, or kept in a rest;
                        their discovery in the bytes of a record, and their counts by path
    table               a table: the columns of a type, or of its newest version, which of them are stored or
                        promoted, and the envelope's
    values              values that a store cannot hold although the type allows them (an integer beyond 64 bits, ...)
    protection          personal data: keyed hashes, and its removal from a record
    filters             which fields may be filtered and aggregated, and by which operators
    record_json         what producers may send: the JSON Schema, and an example

`sluice schema bigquery|proto|duckdb|jsonschema|filters` prints each of them (sluice.cli.schema).
"""
