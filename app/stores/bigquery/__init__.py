"""BigQuery: rows in by the Storage Write API, rows out by query jobs and the Storage Read API.

client           where it is, and who calls it

one append       storage_write       encode, choose a connection, stamp, send, understand the answer
rows             proto_rows          a record -> a protobuf row (struct_values: its values; protobuf: the row's schema)
requests         append_request      rows -> an AppendRows request, as bytes (varint: its integers)
connections      connections         one to N by load, closed when idle; connection: one AppendRows stream
answers          append_responses    what a response, or the end of a stream, means

reading          runner              the source: threads, and who waits for whom
                 jobs, guards        query jobs, and what each carries: limits, labels, typed parameters
                 cells, failures     answers -> values; errors -> what they mean
                 storage_read        a result, as Arrow
erasing          eraser              deletes rows, and tells the other instances

the table        schema, layout      the schema JSON that `bq` and Terraform take; partitions and clustering
                 live, table_check   the table as it is beside the declaration; which sink state follows
"""
