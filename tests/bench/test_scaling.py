"""docs/scaling.md is what bench/scaling makes, and what that reckons agrees with what was worked out by hand."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from bench.scaling import capacity, limits, reads, scaling_tables, shares
from bench.scaling.limits import LIMITS, Whose
from bench.scaling.needs import Costs, measured_costs, needs

ROOT = Path(__file__).parent.parent.parent
COSTS = Costs(cpu_us={(1_000, 1): 100.0, (1_000, 100): 1_090.0}, telemetry_us=0.0, row_bytes=1_000, latency_s=0.1)


@pytest.mark.parametrize(
    ("rate", "records", "cpu_us", "instances", "bound_by", "found"),
    [
        (1_000, 1, 100.0, 1, "there is always one", {"processors": 0.1, "in_flight_each": 100, "remembered_s": 200}),
        (1_000, 1, 100.0, 1, "there is always one", {"connections": 1, "most_connections": 8}),
        # 10 processors, so 17 instances at 60 %; but 10,000 in flight, 400 each, are 25.
        (100_000, 1, 100.0, 25, "requests in flight", {"in_flight_each": 400, "remembered_s": 50}),
        (100_000, 1, 100.0, 25, "requests in flight", {"connections": 25, "most_connections": 200}),
        # 10.9 processors, so 19 instances; but 1 GB/s at 40 MB/s each are 25.
        (1_000_000, 100, 100.0, 25, "connections", {"processors": 10.9, "connections": 100, "messages_per_s": 10_000}),
        (3_000, 1, 2_000.0, 10, "processor", {"processors": 6.0}),  # at 60 %
    ],
)
def test_instances_are_as_many_as_the_scarcest_resource_needs(  # noqa: PLR0917 - a row of the table
    rate: int, records: int, cpu_us: float, instances: int, bound_by: str, found: dict[str, float]
) -> None:
    """Processors, requests in flight or connections to the store; and one at least."""
    costs = msgspec.structs.replace(COSTS, cpu_us=COSTS.cpu_us | {(1_000, 1): cpu_us})
    load = needs(rate, records, costs)
    assert (load.instances, load.bound_by) == (instances, bound_by)
    assert {name: getattr(load, name) for name in found} == pytest.approx(found)


@pytest.mark.parametrize(
    ("rate", "streams", "needed", "most", "appends"),
    [
        (1_000, 1, 1, 8, 80),  # 8 in flight, each for 100 ms
        (50, 1, 1, 8, 50),  # no more than messages
        (1_000, 10, 10, 44, 1_000 / 3),  # all together begin one in 3 ms
        (1_000, 50, 50, 204, 500),  # each begins one when the last one has ended
        (100_000, 3, 75, 400, 3_125),  # 25 instances, 4 MB/s each; three appends in 24 ms
    ],
)
def test_each_stream_has_connections_of_its_own(rate: int, streams: int, needed: int, most: int, appends: int) -> None:
    """One of each instance to each table at least, and four at most, to the table of rejects too."""
    load = needs(rate, 1, COSTS, streams)
    assert (load.connections, load.most_connections) == (needed, most)
    assert load.appends_per_s == pytest.approx(appends)


def test_the_bytes_of_a_stream_need_connections_too() -> None:
    """1 GB/s over 25 instances and two streams are 20 MB/s to each table: two connections."""
    load = needs(1_000_000, 100, COSTS, 2)
    assert (load.instances, load.connections) == (25, 100)


def test_what_was_not_measured_lies_on_the_line_through_what_was() -> None:
    """Between 100 µs for one record and 1,090 for a hundred each costs 10; what was measured is as it was."""
    assert COSTS.of(50) == pytest.approx(590)
    assert [COSTS.of(1), COSTS.of(100)] == pytest.approx([100, 1_090])


def test_an_hour_of_the_table_decides_what_an_estimate_says() -> None:
    """1,000 rows of 1,000 bytes a second are 3.6 GB an hour; keys of 46 bytes, 165.6 MB; an id and its instant, 72."""
    assert (reads.KEY_BYTES, reads.PLACE_BYTES) == (46, 20)
    assert reads.hour_bytes(1_000, 1_000) == pytest.approx(3.6e9)
    assert reads.hour_query_bytes(1_000, 1_000) == pytest.approx(3.6e9 + 165.6e6)
    assert reads.look_up_bytes(1_000) == pytest.approx(2.25 * 72e6)


@pytest.mark.parametrize(("rate", "hours"), [(1_000, 1_555), (10_000, 43), (100_000, 7), (1_000_000, 0), (1, 9_600)])
def test_an_id_is_found_as_far_back_as_the_ceiling_reaches(rate: int, hours: int) -> None:
    """Slices of 1, 6, 36 hours and so on are looked up until one's whole partitions exceed 100 GiB."""
    assert reads.look_up_hours(rate) == pytest.approx(hours)


def test_a_month_of_reading_is_what_the_model_found() -> None:
    """Of the first way before, of the last one now; what was not asked, or was refused, has no price."""
    cells = capacity.measured("price")["cells"]
    before, now = (
        next(each for each in cells if (each["way"], each["reader"]) == (cells[place]["way"], reads.FOLLOWER))
        for place in (0, -1)
    )
    assert reads.month_dollars(1_000, reads.FOLLOWER, before=True) == before["dollars_per_month"]
    assert reads.month_dollars(1_000, reads.FOLLOWER) == now["dollars_per_month"]
    assert now["dollars_per_million"] <= 0.05 < before["dollars_per_million"]
    assert (reads.month_dollars(1_000, reads.FOLLOWERS) or 1e9) < 2 * now["dollars_per_month"]
    assert (reads.month_dollars(1_000, reads.DASHBOARD) or 1e9) <= 400
    assert reads.month_dollars(1_000_000, reads.FOLLOWER) is None
    last = [each for each in cells if each["way"] == cells[-1]["way"]]
    assert all(each["dollars_per_million"] is not None for each in last), "nothing is refused"


def test_what_is_kept_costs_by_the_month() -> None:
    """3.6 GB an hour are 34.56 TB in 400 days, at $0.02 a GiB."""
    kept = reads.kept(1_000, 1_000)
    assert kept["TB a day"] == pytest.approx(0.0864)
    assert kept[reads.KEPT_DOLLARS] == pytest.approx(643.73, abs=0.01)


def test_a_limit_holds_up_to_where_it_is_all_taken() -> None:
    """440 MB/s are 440,000 records of 1 KB; other limits are of what the code makes of one, to two digits."""
    assert shares.holds_up_to("pushed") == 440_000
    assert shares.holds_up_to("published") == 4_000_000
    assert shares.holds_up_to("partitions") is None
    appended = 3e9 / capacity.row_bytes()
    assert 0.9 * appended < (shares.holds_up_to("appended") or 0) <= appended
    page = 10 * 2**30 / 3_600 / (capacity.row_bytes() + 46)
    assert 0.9 * page < (shares.holds_up_to("page") or 0) <= page


@pytest.mark.parametrize("rate", scaling_tables.RATES_PER_S)
def test_what_gives_first_is_what_most_is_taken_of(rate: int) -> None:
    """No limit that counts is taken more than the one that is named; a region's counts only where it is asked for."""
    name, share = shares.first(rate, {*Whose})
    others = {each: part for each, part in shares.shares(rate).items() if not LIMITS[each].is_regional}
    assert share == max(part for each, part in others.items() if not LIMITS[each].of_reading)
    assert not LIMITS[name].is_regional
    assert LIMITS[shares.first(rate, {Whose.OURS}, of_reading=True)[0]].of_reading


def test_a_region_gives_before_a_multi_region() -> None:
    """With 100 records a message, 1.1 GB/s exceed a region's 300 MB/s, and push 440 MB/s before 3 GB/s of EU or US."""
    assert shares.first(1_000_000, {Whose.QUOTA}, records=100)[0] == "pushed"
    assert shares.first(1_000_000, {Whose.QUOTA}, records=100, is_regional=True)[0] == "appended in a region"


def test_many_records_in_a_message_cost_no_more() -> None:
    """The remedy that comes first is one: fewer instances, and none of the other items grows."""
    for rate in scaling_tables.RATES_PER_S:
        one, many = (shares.cost_per_million(rate, records) for records in scaling_tables.FORMS)
        assert all(many[item] <= one[item] for item in one)


def test_the_compute_of_a_million_records_is_that_of_their_instances() -> None:
    """At 1,000/s a million takes 1,000 s of the one instance: $0.018 for the vCPU and $0.002 for the GiB."""
    assert shares.cost_per_million(1_000, 1)["compute"] == pytest.approx(0.020)


def test_measured_figures_are_read_as_they_are_written(tmp_path: Path) -> None:
    """The cells of ours with wrapped pushes count, by size and records; the latency is that at the nearest load."""

    def cell(contender: str, us: float, *, records: int = 1, wrapped: bool = True, in_flight: int = 512) -> object:
        case = {"record_bytes": 1_000, "wrapped": wrapped, "records": records, "in_flight": in_flight, "ack_ms": 20.0}
        return {"contender": contender, "case": case, "rounds": [], "median": {"cpu_us_per_message": us}}

    cells = [
        cell("sluice", 90.0),
        cell("sluice", 95.0, in_flight=64),
        cell("bare", 1.0),
        cell("sluice", 80.0, wrapped=False),
        cell("sluice", 1_000.0, records=100),
    ]
    (tmp_path / "ingest.json").write_text(json.dumps({"machine": {}, "cells": cells}))
    latencies = [
        {"contender": "sluice", "load": load, "added_ms": {"p50": p50}}
        for load, p50 in ((0.2, 1.0), (0.5, 4.0), (0.9, 9.0))
    ]
    (tmp_path / "latency.json").write_text(json.dumps({"cells": latencies}))
    found = measured_costs(tmp_path)
    assert found.cpu_us == {(1_000, 1): 90.0, (1_000, 100): 1_000.0}
    assert found.latency_s == pytest.approx(0.104)


def test_a_push_takes_the_same_in_capacity_and_in_scaling() -> None:
    """One of two pages would be wrong."""
    assert measured_costs().cpu_us[capacity.MESSAGE_BYTES, 1] == capacity.push_us()


def test_the_limits_that_are_ours_are_those_of_terraform() -> None:
    """Instances and concurrency are what the variables' defaults and checks say."""
    text = (ROOT / "infra" / "terraform" / "variables_service.tf").read_text()
    assert f"default     = {{ min = 1, max = {limits.DEPLOYED_INSTANCES} }}" in text
    assert f"var.instances.max <= {limits.ALLOWED_INSTANCES}" in text
    concurrency = re.search(r'variable "concurrency" {.*?default +=(.*?)\n', text, re.DOTALL)
    assert concurrency is not None
    assert int(concurrency[1]) == limits.CONCURRENCY


def test_every_limit_has_a_source_and_a_remedy() -> None:
    """A limit is positive, and says whose it is, where it stands, what it was taken from, and what to do."""
    for limit in LIMITS.values():
        assert limit.value > 0
        assert limit.known
        assert limit.remedy
        if limit.source.startswith("https://"):
            assert limit.source.startswith("https://cloud.google.com/")
        else:
            assert (scaling_tables.DOCUMENT.parent / limit.source).exists()
        assert limit.source.startswith("https://") is (limit.whose is not Whose.OURS)
