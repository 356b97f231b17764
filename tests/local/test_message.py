import pytest

from sluice.local.pubsub.errors import InvalidArgumentError
from sluice.local.pubsub.message import Draft, check_name, check_publish, format_time


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("events", "is not a name like projects/PROJECT/topics/NAME"),
        ("projects/sluice-local/subscriptions/events", "is not a name like"),
        ("projects/sluice-local/topics/events/more", "is not a name like"),
        ("projects/Sluice/topics/events", "project id 'Sluice'"),
        ("projects/sluice-local/topics/ev", "3-255 letters"),
        ("projects/sluice-local/topics/1events", "a letter first"),
        ("projects/sluice-local/topics/ev ents", "3-255 letters"),
        ("projects/sluice-local/topics/google-events", "not starting with goog"),
        ("projects/sluice-local/topics/" + "e" * 256, "3-255 letters"),
    ],
)
def test_names_break_one_rule_each(name: str, complaint: str) -> None:
    """A bad resource name is refused with the rule it breaks."""
    with pytest.raises(InvalidArgumentError, match=complaint):
        check_name(name, "topics")


def test_good_names_pass() -> None:
    """Every character the service allows is allowed."""
    name = "projects/example.com:sluice-1/topics/A.b_c~d+e%f-9"
    assert check_name(name, "topics") == name


@pytest.mark.parametrize(
    ("drafts", "complaint"),
    [
        ([], "at least one message"),
        ([Draft(b"a")] * 1001, "1001 messages in one publish request; the limit is 1000"),
        ([Draft(b"ok"), Draft(b"")], r"messages\[1\] needs data or at least one attribute"),
        ([Draft(b"x" * 10_000_001)], "10000001 bytes; the limit is 10000000"),
        ([Draft(b"x" * 6_000_000)] * 2, "12000000 bytes"),
        ([Draft(b"a", {f"k{i}": "" for i in range(101)})], "101 attributes; the limit is 100"),
        ([Draft(b"a", {"": "v"})], "an attribute without a name"),
        ([Draft(b"a", {"k" * 257: "v"})], "is 257 bytes; the limit is 256"),
        ([Draft(b"a", {"k": "é" * 513})], r"messages\[0\].attributes\['k'\] is 1026 bytes; the limit is 1024"),
        ([Draft(b"a", {}, "o" * 1025)], r"messages\[0\].orderingKey is 1025 bytes"),
    ],
)
def test_limits_of_a_publish_request(drafts: list[Draft], complaint: str) -> None:
    """Each limit of the service is enforced, naming the message and the limit."""
    with pytest.raises(InvalidArgumentError, match=complaint):
        check_publish(drafts)


def test_the_largest_allowed_request_passes() -> None:
    """Exactly 10 MB, exactly 1,000 messages and a message of attributes alone are fine."""
    check_publish([Draft(b"x" * 10_000_000)])
    check_publish([Draft(b"", {"k": "v" * 1024})] * 1000)


def test_times_are_written_as_the_service_writes_them() -> None:
    """RFC 3339 with three digits of milliseconds and a Z."""
    assert format_time(1_614_366_835_749_000) == "2021-02-26T19:13:55.749Z"
    assert format_time(1_614_366_835_005_999) == "2021-02-26T19:13:55.005Z"
