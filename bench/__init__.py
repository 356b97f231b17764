"""Measurements, each contender in a fresh process, as ratios within one run; and what is made of them.

measured   ingest     the way in: messages a second of one core, beside ceilings and what people do today
           today      … the latter
           query      the way out, over HTTP: pages, look-ups, 304, exports, many clients
           start      time to start, imports, memory
           price      what reading costs on BigQuery, by a model of its bill
           embedded   the embedded store at millions of rows
           telemetry  what traces, metrics and logs cost a push
compared   gate       whether a change is slower than the commit that landed last
           base       … which one that is, and its files
reported   report     the tables and plots of bench/README.md
           scaling    capacity, cost and limits at other rates: docs/capacity.md, docs/scaling.md
shared     machine    what a result says of the machine
           usage      what a process uses of it
           documents  tables between two marks of a document
           places     where the repository and the results are
"""
