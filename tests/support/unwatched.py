"""What tests use that do not look at telemetry."""

from app.environment import Environment
from app.runtime.clock import Clock
from app.settings.load import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing


def environment_of(clock: Clock, settings: Settings | None = None) -> Environment:
    """Return the environment of parts that no test of telemetry looks at."""
    return Environment(settings=settings or Settings(), clock=clock, metrics=Metrics(), tracing=Tracing(None))
