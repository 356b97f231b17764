"""The HTTP side of the local Pub/Sub: its issuer, the backlogs, and Pub/Sub's REST API, on one port.

GET  /certs          the key set: {kid: PEM public key}
GET  /subscriptions  the backlog of every subscription, dead letters included  (pubsub.subscription.Backlog)
POST /token          {"audience": …, "email": …}, both optional: a fresh push token
     /v1/projects/…  what `gcloud pubsub` and REST clients call  (pubsub.rest_api)
"""

import msgspec
from aiohttp import web

from sluice.local.issuer import Issuer
from sluice.local.pubsub.message import MAX_PUBLISH_BYTES
from sluice.local.pubsub.rest_api import add_rest_routes
from sluice.local.pubsub.service import PubsubService
from sluice.local.stack_settings import AUDIENCE, PRINCIPAL

KEYS_MAX_AGE_S = 3600


class TokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /token`; the defaults are the pusher's claims."""

    audience: str = AUDIENCE
    email: str = PRINCIPAL


def control_app(issuer: Issuer, service: PubsubService) -> web.Application:
    """Return the routes listed in the module's docstring."""

    async def certs(_: web.Request) -> web.Response:
        return web.json_response(issuer.certs(), headers={"Cache-Control": f"public, max-age={KEYS_MAX_AGE_S}"})

    async def subscriptions(_: web.Request) -> web.Response:
        return web.json_response({"subscriptions": msgspec.to_builtins(service.broker.backlogs())})

    async def token(request: web.Request) -> web.Response:
        try:
            claims = msgspec.json.decode(await request.read() or b"{}", type=TokenRequest)
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        return web.json_response({"token": issuer.token(claims.audience, claims.email)})

    # Base64 and JSON make 10 MB of messages about 13.4 MB of body.
    app = web.Application(client_max_size=2 * MAX_PUBLISH_BYTES)
    app.router.add_get("/certs", certs)
    app.router.add_get("/subscriptions", subscriptions)
    app.router.add_post("/token", token)
    add_rest_routes(app.router, service)
    return app
