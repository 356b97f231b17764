"""The issuer's HTTP side, with the backlogs and the pusher's switch on the same port.

GET  /certs          the key set: {kid: PEM public key}
GET  /subscriptions  the backlog of every subscription, dead letters included  (pubsub.subscription.Backlog)
POST /push-endpoint  {"url": …}: push there from now on, a stream's own messages to /STREAM below  (this machine only)
POST /token          {"audience": …, "email": …}, both optional: a fresh push token  (this machine only)
"""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from sluice.local.issuer import Issuer
from sluice.local.pubsub.subscription import Backlog
from sluice.local.pushers import Pushers

KEYS_MAX_AGE_S = 3600

_Body = TypeVar("_Body")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /token`; empty members default to the pusher's values."""

    audience: str = ""
    email: str = ""


class EndpointRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /push-endpoint`."""

    url: str


class TokenDefaults(msgspec.Struct, frozen=True):
    """The claims of the pusher's tokens."""

    issuer: str
    audience: str
    principal: str


def control_app(
    issuer: Issuer,
    defaults: TokenDefaults,
    pushers: Pushers,
    backlogs: Callable[[], list[Backlog]],
) -> web.Application:
    """Return the routes listed in the module's docstring; without `backlogs` they are not known."""
    cache = {"Cache-Control": f"public, max-age={KEYS_MAX_AGE_S}"}

    async def certs(_: web.Request) -> web.Response:
        return web.json_response(issuer.certs(), headers=cache)

    async def subscriptions(_: web.Request) -> web.Response:
        return web.json_response({"subscriptions": msgspec.to_builtins(backlogs())})

    async def token(request: web.Request) -> web.Response:
        token_request = await _decode(request, TokenRequest)
        minted = issuer.token(
            defaults.issuer, token_request.audience or defaults.audience, token_request.email or defaults.principal
        )
        return web.json_response({"token": minted})

    async def push_endpoint(request: web.Request) -> web.Response:
        url = (await _decode(request, EndpointRequest)).url
        if not url.startswith(("http://", "https://")):
            raise web.HTTPBadRequest(text=f"url: {url!r} is not an http:// or https:// URL\n")
        pushers.set_endpoint(url)
        return web.json_response({"url": pushers.endpoint})

    app = web.Application(middlewares=[_this_machine_only])
    app.router.add_get("/certs", certs)
    app.router.add_get("/subscriptions", subscriptions)
    app.router.add_post("/token", token)
    app.router.add_post("/push-endpoint", push_endpoint)
    return app


@web.middleware
async def _this_machine_only(request: web.Request, handler: _Handler) -> web.StreamResponse:
    if request.method == "POST":
        remote = request.remote
        if remote is None or not ipaddress.ip_address(remote).is_loopback:
            raise web.HTTPForbidden(text=f"{request.path} is available to this machine only\n")
        if request.content_type != "application/json":
            # A web page in a browser can POST anything else here without a CORS preflight.
            raise web.HTTPUnsupportedMediaType(text="send Content-Type: application/json\n")
    return await handler(request)


async def _decode(request: web.Request, kind: type[_Body]) -> _Body:
    body = await request.read()
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error
