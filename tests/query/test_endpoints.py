"""What is asked of the feeds over HTTP, and how it is refused."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.http.problems import CATALOGUE
from app.query.request.cursor import Cursor, encode_cursor
from app.runtime.instants import DAY_US, MAX_US, MIN_US
from app.stores.query import Position
from tests.contract.service import WINDOW, Client, Service, problem_of
from tests.contract.stores import T0_US
from tests.long_form import examples


def test_behind_a_path_prefix_the_link_has_it_too(service: Service) -> None:
    """The URL that a client follows is the one it can reach."""
    answer = service.client(root_path="/sluice").get("/v1/records", params={**WINDOW, "limit": 2})
    assert answer.headers["link"].startswith("</sluice/v1/records?limit=2&cursor=")


_USUAL = st.integers(MIN_US, MAX_US) | st.integers(T0_US - DAY_US, T0_US + DAY_US)
_EDGES = st.sampled_from([0, T0_US, MIN_US, MAX_US, -(2**63), 2**63 - 1, 2**64 - 1])
_NUMBERS = _USUAL | st.builds(lambda edge, by: min(max(edge + by, -(2**63)), 2**64 - 1), _EDGES, st.integers(-3, 3))


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    since_us=_NUMBERS,
    until_us=st.none() | _NUMBERS,
    position=st.none() | st.builds(Position, _NUMBERS, st.text(max_size=5)),
    descending=st.booleans(),
)
@example(since_us=MAX_US - DAY_US, until_us=MAX_US + 1, position=None, descending=True)
@example(since_us=MAX_US - DAY_US, until_us=MAX_US + 1, position=Position(MAX_US, "k"), descending=True)
@example(since_us=MAX_US - DAY_US, until_us=MAX_US + 1, position=Position(MAX_US, "k"), descending=False)
def test_a_cursor_of_any_numbers_is_served_or_refused(
    client: Client, since_us: int, until_us: int | None, position: Position | None, *, descending: bool
) -> None:
    """At the ends of time and of the integers, too, the answer is 200 or 400."""
    cursor = Cursor(table="records", descending=descending, since_us=since_us, until_us=until_us, after=position)
    answer = client.get("/v1/records", params={"cursor": encode_cursor(cursor)})
    if answer.status_code != 200:
        assert problem_of(answer)["code"] == "invalid_cursor"


def test_the_catalogue_of_problems_is_served(client: Client) -> None:
    """Every code with its status, its title and what to do about it."""
    found = client.get("/v1/problems").json()["problems"]
    told = {each["code"]: (each["type"], each["status"], each["title"], each["advice"]) for each in found}
    assert told == {
        code: (f"/v1/problems#{code}", kind.status, kind.title, kind.advice) for code, kind in CATALOGUE.items()
    }
    assert problem_of(client.get("/v1/problems?code=busy"))["code"] == "invalid_parameter"
