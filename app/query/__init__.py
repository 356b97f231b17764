"""The way out: records in the order they became durable, each once, from any moment on.

parameters            params, instants      text -> a window, a position, a page size; or a 400 that helps
position              cursor                opaque text <-> where a reader stands
plan                  slices                window -> the adaptive slices a page reads
SQL                   sql                   BigQuery's dialect; keyset, copies found and left out
run                   runner                the QueryRunner seam: app.embedded, or bigquery
on BigQuery           bigquery, jobs        threads and who waits; guards, short-query mode, cancelling
                      cells, failures       answers -> values; errors -> what they mean
                      storage_read          exports, as Arrow
page                  feed                  slices until the page is full, next and resume cursors
answer                endpoints, formats    JSON or NDJSON, cursors in headers too; `openapi` describes them
                      reads, departure      the reads under way; a client that hangs up
                      problems              a store that gives no answer
"""
