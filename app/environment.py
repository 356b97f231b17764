"""What the parts of a service share: settings, the clock, metrics and traces. Made once, in app.main."""

import msgspec

from app.runtime.clock import Clock
from app.runtime.instants import SECOND_US
from app.settings.load import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The live dependencies of every part, whichever half it belongs to."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    tracing: Tracing

    @property
    def lookback_us(self) -> int:
        """How long after a row another one with its delivery key is a copy of it."""
        return round(self.settings.query.dedupe_lookback_s * SECOND_US)
