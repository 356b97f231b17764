"""BigQuery: appends through the Storage Write API, queries through jobs and the Storage Read API.

setup            opens it for a service
client           its addresses and credentials

one append       sink                encode, leave out what the table lacks, stamp, send, interpret the answer
rows             proto_rows          a record -> a protobuf row; values of columns that the table lacks
requests         connection          rows -> AppendRows requests, as bytes; one stream
                 connections         one to N of them, by load
answers          append_responses    the meaning of a response, or of the end of a stream

reading          source              threads, timeouts, cancellation; results as Arrow
                 jobs, cost_limits   query jobs, and the limits, labels and typed parameters of each; answers -> values
                 look_up             an id: at which instants it has rows, then those rows
                 failures            errors -> their meaning
horizons         watermarks          how far instances have settled, written and read
erasing          eraser              deletes rows, and notifies the other instances

the table        table_layout        the schema JSON that `bq` and Terraform accept; partitions and clustering
                 search_index        the search index on the id: its statement, and running it
                 table_diff          the live table against the declaration
                 table_check         the resulting sink state or missing columns; the latest check; undeclared tables
"""
