"""`sluice token`: ask the running issuer for a push token.

curl -H "Authorization: Bearer $(sluice token)" …
"""

import argparse
import sys
import urllib.error
import urllib.request

import msgspec

LOCAL_ISSUER = "http://127.0.0.1:8086"
_TIMEOUT_S = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--issuer", default=LOCAL_ISSUER, help="issuer of `sluice pubsub` (default: %(default)s)")
    parser.add_argument("--audience", default="", help="claim aud (default: the pusher's)")
    parser.add_argument("--email", default="", help="claim email (default: the pusher's)")


def run(args: argparse.Namespace) -> int:
    """Print the token; return 1 if no issuer responds."""
    issuer: str = args.issuer.rstrip("/")
    if not issuer.startswith(("http://", "https://")):
        print(f"error: --issuer {issuer!r} is not an http:// URL", file=sys.stderr)
        return 1
    body = msgspec.json.encode({"audience": args.audience, "email": args.email})
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        f"{issuer}/token", data=body, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 - likewise
            print(msgspec.json.decode(response.read())["token"])
    except (urllib.error.URLError, TimeoutError) as error:
        print(
            f"error: no token from {issuer}: {error}; `sluice pubsub` starts an issuer",
            file=sys.stderr,
        )
        return 1
    return 0
