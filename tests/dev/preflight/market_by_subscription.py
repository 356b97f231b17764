"""The market's streams where the visits come by a shared topic, whose subscription is declared."""

from app.streams import Stream
from testing.google_cloud.project import SYSTEM
from tests.streams.market import STREAMS as MARKET
from tests.streams.market import Visit

STREAMS = MARKET | {"visits": Stream(record=Visit, subscriptions=(f"{SYSTEM}-push",))}
