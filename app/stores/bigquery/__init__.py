"""BigQuery behind the QueryRunner.

runner        threads, and who waits for whom
jobs          the only maker of jobs: short-query mode, cancelling
guards        what each of them carries: limits, labels, typed parameters
cells         answers -> values
failures      errors -> what they mean
eraser        deletes rows, and says so to all instances
storage_read  a result, as Arrow
"""
