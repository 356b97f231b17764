"""The metrics of a running service, as a scrape of them has them."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from sluice.testing.service import Service


async def scrape(service: Service) -> list[Sample]:
    """Return every sample there is."""
    text = (await service.client.get("/metrics")).text
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def values(samples: list[Sample], name: str, *labels: str) -> dict[Any, float]:
    """Return the samples of this name (of a histogram, its count) added up by these labels; by the value of one."""
    found: dict[Any, float] = {}
    for sample in samples:
        if sample.name in {name, f"{name}_count"}:
            key = tuple(sample.labels[label] for label in labels)
            short = key[0] if len(key) == 1 else key
            found[short] = found.get(short, 0) + sample.value
    return found
