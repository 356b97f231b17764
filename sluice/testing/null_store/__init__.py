"""Stores that acknowledge every append after a fixed time and keep nothing.

appender   in the process of the service, behind `create_app(wrap_appender=…)`
__main__   BigQuery's addresses as a process of its own, over real sockets (`python -m …null_store`): gRPC,
rest       … and REST
tally      what the process was sent
"""
