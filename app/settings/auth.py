"""Settings of access: who may push, and who may use the API."""

from typing import Annotated, Literal

from msgspec import Meta

from app.settings.room import Room


class AuthSettings(Room, frozen=True, kw_only=True):
    """Who may push and who may use the API, how their tokens are checked, and the secrets."""

    push_audience: Annotated[str, Meta(description="The `aud` a push token must carry, exactly.")] = "sluice"
    push_principals: Annotated[
        tuple[str, ...], Meta(description="E-mails of the service accounts that may push. None: no account can.")
    ] = ()
    api_audience: Annotated[str, Meta(description="The `aud` an API token must carry, exactly.")] = "sluice"
    api_principals: Annotated[
        tuple[str, ...],
        Meta(
            description="E-mails that may do everything on `/v1` but erase. None, and no grants: open, and only "
            "allowed on a loopback address."
        ),
    ] = ()
    grants_file: Annotated[
        str, Meta(description="A JSON file of further callers: e-mails and API keys, and what each may do (access.md).")
    ] = ""
    requests_per_minute: Annotated[
        int,
        Meta(ge=0, description="How often one caller may read in a minute, where its grant does not say; 0: no limit."),
    ] = 1_200
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(description="Origins whose pages may call `/v1` from a browser; `*`: any. None: only our own."),
    ] = ()
    token_issuer: Annotated[str, Meta(description="The `iss` of every token.")] = "https://accounts.google.com"
    token_keys_url: Annotated[
        str,
        Meta(description="Where the issuer's keys are: a JSON object of key id to PEM.", pattern="^https?://"),
    ] = "https://www.googleapis.com/oauth2/v1/certs"
    token_leeway_s: Annotated[
        int, Meta(ge=0, le=300, description="How far the issuer's clock may differ from ours.")
    ] = 10
    platform_iam: Annotated[
        Literal["off", "trust"],
        Meta(
            description="`trust`: Cloud Run checks callers itself and replaces each token's signature by its marker; "
            "such tokens' claims are then believed. Only on Cloud Run."
        ),
    ] = "off"
    signing_secret: Annotated[
        str,
        Meta(
            description="Proves that a replay or a canary is ours: `python -m dev replay` and `canary` sign with "
            "it (security.md). At least 16 characters, better 32 random bytes in hexadecimal. Empty: no replay keeps "
            "its delivery key."
        ),
    ] = ""
    heartbeat_signature: Annotated[
        str,
        Meta(
            description="A further signature that proves a canary, and nothing else: Cloud Scheduler's, which "
            "Terraform makes. With neither this nor `SLUICE_SIGNING_SECRET` no message is a canary."
        ),
    ] = ""
