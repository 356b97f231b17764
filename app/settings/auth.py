"""Settings of access: who may push, and who may use the API."""

from typing import Annotated, Literal

from msgspec import Meta

from app.settings.fields import Room

# https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin
_ORIGIN = r"^(\*|https?://([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?)$"
# Without the white space around it that other holders of the secret may not have, such as the line feed of a file.
_SECRET = r"\A(\S.{14,}\S)?\Z"


class AuthSettings(Room, frozen=True, kw_only=True):
    """Who may push and who may use the API, how their tokens are checked, and the secrets."""

    push_audience: Annotated[str, Meta(description="The required `aud` of a push token, compared exactly.")] = "sluice"
    push_principals: Annotated[
        tuple[str, ...], Meta(description="E-mails of the service accounts that may push. Empty: none may push.")
    ] = ()
    api_audience: Annotated[str, Meta(description="The required `aud` of an API token, compared exactly.")] = "sluice"
    api_principals: Annotated[
        tuple[str, ...],
        Meta(
            description="E-mails that have every scope on `/v1` except erase. Empty, and no grants file: `/v1` "
            "is open, which is allowed only on a loopback address."
        ),
    ] = ()
    grants_file: Annotated[
        str, Meta(description="A JSON file that grants scopes to further callers, by e-mail or API key (access.md).")
    ] = ""
    requests_per_minute: Annotated[
        int,
        Meta(
            ge=0,
            description="Read requests per minute and caller, unless its grant sets a limit, and requests of documents "
            "that need no token, per minute and address. 0: no limit.",
        ),
    ] = 600
    cors_origins: Annotated[
        tuple[Annotated[str, Meta(pattern=_ORIGIN)], ...],
        Meta(
            description="Origins whose pages may call `/v1` from a browser, such as https://app.example.com; `*`: any. "
            "Empty: only the service's own page."
        ),
    ] = ()
    token_issuer: Annotated[str, Meta(description="The required `iss` of every token.")] = "https://accounts.google.com"
    token_keys_url: Annotated[
        str,
        Meta(
            description="The URL of the issuer's keys: a JSON object of key id to PEM.",
            pattern="^https?://",
        ),
    ] = "https://www.googleapis.com/oauth2/v1/certs"
    platform_iam: Annotated[
        Literal["off", "trust"],
        Meta(
            description="`trust`: Cloud Run verifies callers itself and replaces the signature of each token "
            "with a marker; the service then trusts the claims. Only on Cloud Run."
        ),
    ] = "off"
    signing_secret: Annotated[
        str,
        Meta(
            pattern=_SECRET,
            description="The key that signs replays and canaries; `sluice replay` and `canary` use "
            "it (security.md). At least 16 characters, preferably 32 random bytes in hexadecimal. "
            "Empty: a replay gets a new delivery key.",
        ),
    ] = ""
    heartbeat_signature: Annotated[
        str,
        Meta(
            pattern=_SECRET,
            description="A second key, which signs canaries only; Terraform makes it for Cloud Scheduler. If "
            "this and `SLUICE_SIGNING_SECRET` are both empty, no message is a canary.",
        ),
    ] = ""

    # Not a setting (app.settings.fields).
    token_leeway_s: int = 10
    """The tolerated difference between the issuer's clock and this instance's."""
