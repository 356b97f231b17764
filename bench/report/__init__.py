"""What bench/README.md shows of the results: its tables and plots, made of bench/results/*.json and of nothing else.

    results     what the files say, as types; a file that is not there is None
    figures     how numbers are written, and tables
    ingest      the answer, the headline and the sweep
    service     latency, workers, start-up, memory, reading, and the machines all was measured on
    price       what reading costs on BigQuery
    bounds      what must be reached, what was measured, and whether it holds
    svg         the few elements that a plot is made of
    rate_plot   results/ingest.svg: messages a second, by contender
    latency_plot  results/latency.svg: what is added to the store's acknowledgement
    document    which table stands between which marks, and which plots there are

`python -m bench.report` writes all of it.
"""
