"""Read a table of BigQuery as one Arrow IPC stream, through the Storage Read API.

The API sends exactly the messages of such a stream: the schema, then one batch after another. Only the end-of-stream
marker is added here, so nothing needs to be parsed. A BIGNUMERIC column arrives as decimal256(76, 38), a NUMERIC one as
decimal128(38, 9). The order of an ORDER BY holds within one stream:
https://cloud.google.com/bigquery/docs/reference/storage#read_from_session_streams.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from google.api_core.exceptions import InternalServerError, ServiceUnavailable
from google.cloud.bigquery_storage_v1 import types
from google.cloud.bigquery_storage_v1.services.big_query_read import BigQueryReadAsyncClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcAsyncIOTransport

from app.stores.bigquery.client import BigQueryClients

END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_CHANNEL_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
_SESSION_TIMEOUT_S = 30.0
_ATTEMPTS = 3  # in a row without a single batch
_PAUSE_S = 0.1


async def read_table(access: BigQueryClients, table_path: str) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of the Arrow IPC stream of all rows of a table, in its order. Call `access.load` first.

    Raises:
        GoogleAPICallError: the table cannot be read, or not any further.
        AccessError: there are no usable credentials.
    """
    channel = access.channel(_CHANNEL_OPTIONS)
    try:
        client = BigQueryReadAsyncClient(transport=BigQueryReadGrpcAsyncIOTransport(channel=channel))
        session = await client.create_read_session(
            parent=f"projects/{access.place.project}",
            read_session=types.ReadSession(table=table_path, data_format=types.DataFormat.ARROW),
            max_stream_count=1,
            retry=None,
            timeout=_SESSION_TIMEOUT_S,
        )
        yield session.arrow_schema.serialized_schema
        for stream in session.streams:  # one, or none if the table is empty
            async with aclosing(_batches(client, stream.name)) as batches:
                async for batch in batches:
                    yield batch
        yield END_OF_STREAM
    finally:
        await channel.close()


async def _batches(client: BigQueryReadAsyncClient, stream: str) -> AsyncGenerator[bytes, None]:
    """Yield the batches of a stream; if it breaks off, resume at that offset."""
    offset, failures = 0, 0
    while True:
        call: Any = None
        try:
            # The call waits for the first answer, so it may fail like the later ones.
            call = await client.read_rows(read_stream=stream, offset=offset, retry=None, timeout=None)
            async for answer in call:
                offset, failures = offset + answer.row_count, 0
                yield answer.arrow_record_batch.serialized_record_batch
        except (ServiceUnavailable, InternalServerError):
            failures += 1
            if failures == _ATTEMPTS:
                raise
            await asyncio.sleep(_PAUSE_S * failures)
        else:
            return
        finally:
            if call is not None:
                call.cancel()
