"""The market's streams where the visits come by a shared topic, whose subscription is declared."""

from app.streams import Stream
from tests.streams.market import STREAMS as MARKET
from tests.streams.market import Visit
from tests.support.google_cloud.project import SYSTEM

STREAMS = MARKET | {"visits": Stream(record=Visit, subscriptions=(f"{SYSTEM}-push",))}
