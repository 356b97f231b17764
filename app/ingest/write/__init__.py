"""Rows become durable: group commit over the Appender seam (app.stores.sink).

table_writer      one table: submit, append, and the one loop over what was not stored at once
batching          messages that wait, and group commit: when a batch goes out, and how much at once
retry_policy      what follows each outcome of an append; pure
health            the state of a table, by its appends and by checks; pauses; whether the store answers at all
dedupe            copies of messages: those that this instance has stored, and those that the table has held for long
"""
