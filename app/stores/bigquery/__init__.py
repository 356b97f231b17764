"""BigQuery: appends through the Storage Write API, queries through jobs and the Storage Read API.

setup            opens it for a service
client           its addresses and credentials

one append       sink                encode, leave out what the table lacks, stamp, send, interpret the answer
rows             proto_rows          a record -> a protobuf row; values of columns that the table lacks
requests         connection          rows -> AppendRows requests, as bytes; one stream, and one to N of them, by load
answers          append_responses    the meaning of a response, or of the end of a stream

reading          source              threads, timeouts, cancellation; look-ups by id; results as Arrow
                 jobs                a query by the REST API, and its limits, labels and parameters; answers -> values
failures         failures            errors of the REST API -> their meaning for queries and table checks
horizons         watermarks          how far instances have settled, written and read
erasing          eraser              deletes rows, and notifies the other instances

the table        table_layout        the schema JSON that `bq` and Terraform accept; partitions, clustering, index; the
                                     live table against the declaration
                 table_check         the resulting sink state or missing columns; the latest check; undeclared tables
"""
