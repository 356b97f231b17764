"""`sluice up`: the whole system, kept running until Ctrl-C."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from app.record import RecordTypeError
from app.stores.bigquery.client import TableAddress
from sluice.local.bigquery.errors import LocalBigQueryError
from sluice.local.child import ChildError
from sluice.local.declared import Declared, add_declared_arguments, declared_by
from sluice.local.environment import LocalStack, StackOptions, add_stack_arguments, installed
from sluice.local.keep_serving import keep_serving
from sluice.local.reasons import reason
from sluice.local.shutdown import stop_requested
from sluice.local.signing import LOCAL_NAME, VARIABLE
from sluice.local.stack_settings import of_stream


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `sluice up`."""
    data_path = Path(os.environ.get("SLUICE_DATA_PATH") or StackOptions().data_path)
    add_declared_arguments(parser)
    parser.add_argument("--data-path", type=Path, default=data_path, help="file (default: %(default)s)")
    add_stack_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Start the system, print its addresses, and serve until Ctrl-C or SIGTERM."""
    try:
        declared = declared_by(args)
        declared.load()  # a fault is reported here, not by a child process that ends
        options = StackOptions(
            declared=declared,
            data_path=args.data_path,
            port=args.port,
            bigquery=installed(args.backend, _say),
        )
        return asyncio.run(serve(options))
    except LocalBigQueryError as error:
        _say(str(error))
        return error.status
    except (ChildError, RecordTypeError, OSError) as error:
        _say(reason(error))
        return 1


def _say(text: str) -> None:
    print(f"up: {text}", file=sys.stderr)


async def serve(options: StackOptions) -> int:
    """Serve until stopped; return 1 if a process ended that cannot be started again."""
    with stop_requested() as stop:
        async with LocalStack(options) as stack:
            print(describe(stack), flush=True)
            return await keep_serving(stack, stop, _say)


def describe(stack: LocalStack) -> str:
    """Describe where everything is and how to send a first record."""
    pubsub, options = stack.pubsub, stack.options
    broker = pubsub.pubsub
    publish = f"{pubsub.issuer}/v1/projects/{pubsub.project}/topics/{pubsub.topic}:publish"
    secret_file = options.data_path.parent / LOCAL_NAME
    signatures = f"${VARIABLE}" if os.environ.get(VARIABLE) else f"--secret-file {secret_file} (canary, replay)"
    return f"""
  look at it   {stack.url}/
  API          {stack.url}/v1/records
  OpenAPI      {stack.url}/openapi/openapi.json
  records      {options.declared}{_no_project(options)}, stored in {options.store_path}
  Pub/Sub      PUBSUB_EMULATOR_HOST={broker}  project {pubsub.project}, topic {pubsub.topic}{_own_topics(stack)}
               REST: {publish}
  backlog      {pubsub.issuer}/subscriptions
  tokens       {pubsub.issuer}/certs
  signatures   {signatures}
{"" if stack.place is None else describe_place(stack.place)}
  Ctrl-C stops everything.
"""


def describe_place(place: TableAddress) -> str:
    """Describe where BigQuery is and how to inspect it."""
    return f"""
  BigQuery     REST {place.rest_url}, gRPC {place.storage_url}, dataset {place.project}.{place.dataset}
               {bq_command(place)} ls {place.dataset}
"""


def bq_command(place: TableAddress) -> str:
    """Return the `bq` command for it; the given token keeps `bq` from asking for one or sending a real one."""
    return f"bq --api={place.rest_url} --project_id={place.project} --oauth_access_token=none"


def _no_project(options: StackOptions) -> str:
    """Say that the type is the default one because nothing declares another."""
    if options.declared != Declared() or os.environ.get("SLUICE_RECORD"):
        return ""
    return " (the default type: this folder is no project that names one; `sluice new` makes a project)"


def _own_topics(stack: LocalStack) -> str:
    """Return the lines for the topics of the streams; messages to the shared one name theirs themselves."""
    topics = [of_stream(stack.pubsub.topic, stream) for stream in stack.streams]
    lines = [f"\n{' ' * 15}topic {topic}" for topic in topics]
    return f" (with the attribute `stream`){''.join(lines)}" if lines else ""
