"""Hours of a service's life, made of recorded phases, as promtool takes them.

A phase that was recorded once is repeated every minute: what it counted is added each time, and gauges keep what they
showed at its end. The numbers, names and labels are the service's; only the time is stretched.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.promtool import run
from tests.telemetry.scenarios import Phase, Samples

Segments = Sequence[tuple[str, int]]
"""Names of phases, and for how many minutes each goes on."""


def series(phases: dict[str, Phase], segments: Segments) -> list[dict[str, str]]:
    """Return the `input_series` of a promtool test: a value a minute."""
    values: Samples = dict.fromkeys((key for phase in phases.values() for key in phase.after), 0.0)
    texts: dict[Any, list[str]] = {key: [] for key in values}
    for name, minutes in segments:
        phase = phases[name]
        for key, text in texts.items():
            before, after = phase.before.get(key, 0.0), phase.after.get(key, 0.0)
            if key[0] in phase.gauges:
                text.append(f"{_number(after)}x{minutes - 1}")
                continue
            text.append(f"{_number(values[key])}+{_number(after - before)}x{minutes - 1}")
            values[key] += (after - before) * minutes
    return [{"series": _name(key), "values": " ".join(text)} for key, text in texts.items()]


def constant(name: str, labels: dict[str, str], value: float, minutes: int) -> dict[str, str]:
    """Return a series that keeps a value."""
    return {"series": _name((name, tuple(labels.items()))), "values": f"{_number(value)}x{minutes}"}


def growing(name: str, labels: dict[str, str], a_minute: float, minutes: int) -> dict[str, str]:
    """Return a series that grows by as much each minute."""
    return {"series": _name((name, tuple(labels.items()))), "values": f"0+{_number(a_minute)}x{minutes}"}


def failures(folder: Path, *suites: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> str:
    """Return what `promtool test rules` says of suites of rules and tests; nothing if all hold. JSON is YAML, too.

    Rules are evaluated at the interval of the first. Each suite is given only the series that a query names: promtool
    would store a value a minute of every other one as well.
    """
    files = []
    for number, (rules, tests) in enumerate(suites):
        queries = json.dumps([rules, [test["promql_expr_test"] for test in tests]])
        named = [
            test
            | {"input_series": [each for each in test["input_series"] if each["series"].partition("{")[0] in queries]}
            for test in tests
        ]
        rules_file, tests_file = folder / f"rules-{number}.yml", folder / f"tests-{number}.yml"
        rules_file.write_text(json.dumps({"groups": rules}))
        interval = rules[0]["interval"] if rules else "1m"
        told = {"rule_files": [str(rules_file)], "evaluation_interval": interval, "tests": named}
        tests_file.write_text(json.dumps(told))
        files.append(tests_file)
    done = run("test", "rules", *files)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def holds(expression: str, at_minute: int, *, is_so: bool) -> dict[str, Any]:
    """Return the test of an expression: it has a value then, or none."""
    expected = [{"labels": "{}", "value": 1}] if is_so else []
    return {"expr": f"count({expression}) > bool 0", "eval_time": f"{at_minute}m", "exp_samples": expected}


def _name(key: Any) -> str:
    name, labels = key
    return f"{name}{{{', '.join(f'{label}={json.dumps(value)}' for label, value in labels)}}}"


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if value else "0"
