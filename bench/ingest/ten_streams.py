"""The streams of the service that carries ten: the default type ten times, so that only their number differs."""

from app.record import Record

STREAMS = {f"s{number}": Record for number in range(10)}
