"""Set up authentication: token keys, grants, request counts, and the tasks that keep them fresh."""

import asyncio
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from litestar import Litestar

from app.auth.grants import CheckFilters, GrantRules
from app.auth.grants_file import LOOK_EVERY_S, GrantsReloader
from app.auth.guard import Callers, Guard, Identify, api_guard, document_guard
from app.auth.key_set import Fetch, KeySet, key_fetcher
from app.auth.limits import ByteBudget, RateLimit, RequestCount
from app.auth.read_slots import ReadSlots
from app.auth.tokens import TokenPolicy, TokenVerifier
from app.environment import Environment
from app.runtime.valkey import connect
from app.settings.auth import AuthSettings
from app.streams import Streams

if TYPE_CHECKING:
    from valkey.asyncio import Valkey


class AuthService:
    """Authenticates callers: `push` verifies the tokens of pushes, `guard` protects `/v1`, `document_guard` the rest.

    `identify` returns the caller that `/v1` would admit; public routes use it to show such callers more.
    """

    def __init__(
        self, environment: Environment, streams: Streams, check_filters: CheckFilters, fetch_keys: Fetch | None
    ) -> None:
        """Read the grants, and set up the rest without fetching anything.

        Raises:
            SettingsError: the grants are wrong, or a package that a setting needs is missing.
        """
        settings, clock = environment.settings, environment.clock
        self._clock, auth = clock, settings.auth
        rules = GrantRules(settings=auth, streams=[*streams.by_name], check_filters=check_filters)
        # None: every caller on the loopback interface may use `/v1`.
        is_open = not auth.api_principals and not auth.grants_file
        self._grants = None if is_open else GrantsReloader(auth.grants_file, rules)
        shared_url = settings.query.cache_url if "query" in settings.server.roles else ""  # only reads are counted
        self.shared: Valkey | None = connect(shared_url) if shared_url else None
        """What instances share: request counts, and named readers; None: each has its own."""
        keys = KeySet(fetch_keys or key_fetcher(auth.token_keys_url), clock)
        self._pushes = "ingest" in settings.server.roles and bool(auth.push_principals)
        self.keys = keys if self._pushes or self._grants is not None else None
        """The keys that tokens are verified with; None if no token can be accepted."""
        self.push = _verifier(keys, auth, auth.push_audience, frozenset(auth.push_principals))
        verifier = _verifier(keys, auth, auth.api_audience, frozenset() if self._grants is None else self._grants)
        limit = RateLimit(RequestCount(clock, self.shared), clock)
        self.identify: Identify = Callers(verifier, self._grants, clock, auth.cors_origins).identify
        self.budget = ByteBudget(settings.query.bytes_billed_per_day, clock, environment.metrics.byte_budget_refusals)
        """What reads may cost, and have cost."""
        self.slots = ReadSlots(settings.query.max_reads, clock)
        """The responses that are being made and sent."""
        self.guard: Guard = api_guard(self.identify, limit, self.budget, self.slots, streams.default.name)
        self.document_guard: Guard = document_guard(RateLimit(RequestCount(clock), clock), auth.requests_per_minute)

    @property
    def is_ready(self) -> bool:
        """Whether tokens can be verified, if any are accepted; API keys do not depend on the issuer."""
        return self.keys is None or self.keys.is_ready or not self._wants_tokens

    @property
    def _wants_tokens(self) -> bool:
        return self._pushes or (self._grants is not None and bool(self._grants.current.by_email))

    @asynccontextmanager
    async def lifespan(self, _: Litestar) -> AsyncIterator[None]:
        """Keep keys and grants fresh until shutdown; then close the connection to the shared count."""
        background: list[Any] = [] if self.keys is None else [self._keep_keys(self.keys)]
        if self._grants is not None:
            background.append(self._grants.watch(self._clock))
        tasks = [asyncio.ensure_future(work) for work in background]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self.shared is not None:
                await self.shared.aclose()

    async def _keep_keys(self, keys: KeySet) -> None:
        """Keep the keys fresh once tokens are accepted; a change of the file may add the first grant for an e-mail."""
        while not self._wants_tokens:
            await self._clock.sleep(LOOK_EVERY_S)
        await keys.run()


def _verifier(keys: KeySet, settings: AuthSettings, audience: str, principals: Container[str]) -> TokenVerifier:
    policy = TokenPolicy(
        issuer=settings.token_issuer,
        audience=audience,
        principals=principals,
        leeway_s=settings.token_leeway_s,
        trust_platform=settings.platform_iam == "trust",
    )
    return TokenVerifier(keys, policy)
