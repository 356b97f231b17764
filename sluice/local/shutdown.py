"""Ctrl-C and SIGTERM as an event to wait for."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_requested() -> Iterator[asyncio.Event]:
    """Yield an event that SIGINT and SIGTERM set, instead of their default actions. Needs a running loop."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, event.set)
    try:
        yield event
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
