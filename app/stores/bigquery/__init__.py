"""BigQuery: appends through the Storage Write API, queries through jobs and the Storage Read API.

setup            opens it for a service
client           its addresses and credentials

one append       storage_write       encode, choose a connection (one to N by load), stamp, send, interpret the answer
rows             proto_rows          a record -> a protobuf row, and its descriptor
requests         connection          rows -> AppendRows requests, as bytes; one stream
answers          append_responses    the meaning of a response, or of the end of a stream

reading          runner              the source: threads, timeouts, cancellation; results as Arrow
                 jobs, guards        query jobs, and the guards of each: limits, labels, typed parameters
                 cells, failures     answers -> values; errors -> their meaning
erasing          eraser              deletes rows, and notifies the other instances

the table        schema, layout      the schema JSON that `bq` and Terraform accept; partitions and clustering
                 live, table_check   the live table against the declaration; the resulting sink state
"""
