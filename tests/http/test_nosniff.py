"""No browser guesses what an answer is: the header is on every answer that has a body."""

from typing import Any

from litestar.routes import HTTPRoute

from sluice.testing.service import GOOD, SETTINGS, Service, running

_PARAMETERS = {"record_id": "a", "rest": "b", "path": "a", "name": "a", "file": "a"}


def requests(service: Service) -> list[tuple[str, str]]:
    """Return each method and path of the application, parameters filled in."""
    found: list[tuple[str, str]] = []
    for route in service.app.litestar.routes:
        if isinstance(route, HTTPRoute):
            parts = [
                part if isinstance(part, str) else _PARAMETERS.get(part.name, "a") for part in route.path_components
            ]
            found += [(str(method), "/" + "/".join(parts)) for method in sorted(route.methods)]
    return found


def has_it_once(answer: Any) -> bool:
    """Return whether the header is there, and only once."""
    return bool(answer.headers.get_list("x-content-type-options") == ["nosniff"])


async def test_every_route_says_nosniff_whatever_it_answers() -> None:
    """Found or not, allowed or not, by every method; a tail that ends, files of pages, problems."""
    settings = SETTINGS.replace(tail_max_s=0.001)
    async with running(settings) as service:
        assert (await service.client.post("/v1/records", json=GOOD)).status_code == 201
        asked = requests(service)
        assert len(asked) > 30
        seen = set()
        for method, path in asked:
            if path == "/v1/records/tail" or (method, path) == ("POST", "/pubsub/push"):
                continue
            answer = await service.client.request(method, path)
            seen.add(answer.status_code)
            assert has_it_once(answer), (method, path, answer.status_code)
        assert seen >= {200, 204, 404, 422}
