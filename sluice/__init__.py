"""What a project imports, and what serves it: `from sluice import Stream, Versions`.

cli         the command `sluice`
local       what replaces Google Cloud on a laptop: Pub/Sub, its pusher, an issuer, BigQuery; the demonstration
ops         what operates a deployment: smoke test, replay, redrive, canary, rollout, drills, backfill
testing     doubles of what surrounds the service, for tests of a record type
"""

from app.record import Versions
from app.streams import Stream

__all__ = ["Stream", "Versions"]
