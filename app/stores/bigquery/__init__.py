"""BigQuery: appends through the Storage Write API, queries through jobs and the Storage Read API.

setup            opens it for a service
client           its addresses and credentials

one append       sink                encode, leave out what the table lacks, stamp, send, interpret the answer
rows             proto_rows          a record -> a protobuf row; values of columns that the table lacks
requests         connection          rows -> AppendRows requests, as bytes; one stream, and one to N of them, by load

reading          source              threads, timeouts, cancellation; look-ups by id; results as Arrow; erasure
                 jobs                a query by the REST API, and its limits, labels and parameters; answers -> values
answers          failures            errors, responses and ends of streams -> their meaning
horizons         watermarks          how far instances have settled: the rules, and the table of their marks
                 announcing          writes this instance's marks; no append is stamped before the first
                 horizons            reads the marks of all instances when a reader asks

the table        table_layout        the schema JSON that `bq` and Terraform accept; partitions, clustering; the
                                     live table against the declaration
                 table_check         the resulting sink state or missing columns; the latest check; undeclared tables
"""
