"""How many pushed messages one core takes in, and what it costs: ceilings, the service, and what people do today.

`null_store` stands in for BigQuery: both of its ways in, over real sockets, and nothing behind them.
"""
