"""A model of what BigQuery bills for reading, over a table that exists only as a rate of rows.

bill      a statement and a layout -> bytes, by the columns, partitions and blocks that the statement reads. Pure
store     a QueryRunner over such a table: it makes the rows that are asked for, and adds up their bills
"""
