"""Measurements, each contender in a fresh process, as ratios within one run; and what is made of them.

measured   ingest     messages a second of one core, beside the ceilings of the machine
           query      reads over HTTP: pages, look-ups, 304, exports, many clients
           start      time to start, and memory
           price      what ingest and reads cost on Google Cloud, by list prices and a model of BigQuery's bill
compared   gate       whether a change is slower than the commit that landed last
           base       … which one that is, and its files
reported   tables     the tables of docs/performance.md
shared     machine    what a result says of the machine
           usage      what a process uses of it
           places     where the repository and the results are
"""
