"""Rows become durable: group commit over the Appender seam (app.stores.sink).

table_writer      one table: submit, append, and the one loop over what was not stored at once
messages          a message that waits, and the rows that are appended together
batching          group commit: when a batch goes out, and how much at once
retry_policy      what follows each outcome of an append; pure
refusals          messages that the store refused without naming a row, across their deliveries
health            the state of a table, by its appends and by checks; pauses
stall_watchdog    whether the store answers at all while messages wait
append_watch      metrics and spans of appends
"""
