"""BigQuery behind the QueryRunner.

runner        threads, and who waits for whom
jobs          the only maker of jobs: guards, short-query mode, cancelling
cells         answers -> values
failures      errors -> what they mean
storage_read  a result, as Arrow
"""
