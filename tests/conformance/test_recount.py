"""What README says of the plan, counted again from recorded calls; nothing of the plan is imported.

The levels here are this file's own: the numbers must not depend on how the plan cuts its axes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from conformance.campaign.run import Settings, run
from conformance.targets import Target

Call = dict[str, Any]
FACTORS = (
    "kernel", "strides", "dilation", "padding", "layout", "bias", "groups", "channels", "filters",
    "shape", "batch", "dtype", "memory",
)  # fmt: skip


def by_size(pair: tuple[int, int]) -> str:
    h, w = pair
    return str(min(h, 3)) if h == w else "h > w" if h > w else "h < w"


def many(number: int) -> str:
    return "1" if number == 1 else "few" if number < 8 else "8s" if number % 8 == 0 else "many"


def sizes(call: Call) -> tuple[int, int, int, int]:
    n, a, b, c = call["x"]
    return (n, a, b, c) if call["data_format"] == "channels_last" else (n, b, c, a)


def output(call: Call) -> tuple[int, int]:
    _, *size, _ = sizes(call)
    found = []
    for axis in (0, 1):
        n, s = size[axis], call["strides"][axis]
        extent = (call["kernel"][axis] - 1) * call["dilation_rate"][axis] + 1
        found.append(-(-n // s) if call["padding"] == "same" else (n - extent) // s + 1)
    return found[0], found[1]


def levels(call: Call) -> tuple[str, ...]:
    n, _, _, c = sizes(call)
    kh, kw, _, f = call["kernel"]
    oh, ow = output(call)
    groups = call["groups"]
    return (
        "1xN" if kh == 1 < kw else "Nx1" if kw == 1 < kh else by_size((kh, kw)),
        by_size(call["strides"]),
        by_size(call["dilation_rate"]),
        call["padding"],
        call["data_format"],
        str(call["bias"]),
        "1" if groups == 1 else "depthwise" if groups == c else "grouped",
        many(c),
        many(f),
        "one" if 1 in (oh, ow) else "tall" if oh > ow else "wide" if oh < ow else "square",
        "1" if n == 1 else "more",
        call["dtype"],
        call["memory"],
    )


def tuples(rows: Iterable[tuple[str, ...]], strength: int) -> set[tuple[tuple[int, str], ...]]:
    return {tuple(t) for row in rows for t in combinations(enumerate(row), strength)}


def any_calls(number: int) -> Iterator[Call]:
    """Valid calls of every kind, to know what is possible."""
    rng = random.Random(0)
    axis = (1, 1, 2, 3, 4)
    for _ in range(number):
        kernel = rng.choice([(1, 1), (2, 2), (3, 3), (1, 3), (3, 1), (2, 3), (3, 2)])
        steps = rng.choice([(1, 1), (2, 2), (3, 3), (2, 1), (1, 2)])
        strided = rng.random() < 0.5
        groups, depth, each = rng.choice(
            [(1, c, f) for c in (1, 3, 8, 17) for f in (1, 3, 8, 17)]
            + [(g, d, e) for g in (2, 3, 8, 9, 17) for d in (1, 2, 3) for e in (1, 2, 3)]
        )
        out = rng.choice([(1, 1), (1, 4), (4, 1), (5, 5), (4, 6), (6, 4)])
        last = rng.random() < 0.5
        call = {
            "strides": steps if strided else (1, 1),
            "dilation_rate": (1, 1) if strided else steps,
            "padding": rng.choice(["valid", "same"]),
            "data_format": "channels_last" if last else "channels_first",
            "groups": groups,
            "kernel": (*kernel, depth, groups * each),
            "bias": rng.random() < 0.5,
            "dtype": rng.choice(["float16", "bfloat16", "float32", "float64"]),
            "memory": rng.choice(["C", "other"]),
        }
        h, w = (
            o * s if call["padding"] == "same" else (o - 1) * s + (k - 1) * d + 1
            for o, s, k, d in zip(out, call["strides"], kernel, call["dilation_rate"], strict=True)
        )
        n, c = rng.choice(axis), groups * depth
        yield call | {"x": (n, h, w, c) if last else (n, c, h, w)}


@pytest.fixture(scope="module")
def possible() -> dict[int, set[tuple[tuple[int, str], ...]]]:
    rows = {levels(call) for call in any_calls(150_000)}
    return {strength: tuples(rows, strength) for strength in (2, 3)}


def recorded(path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> list[Call]:
    monkeypatch.setenv("RECORDED_CALLS", str(path))
    target = Target("planted:records_its_calls")
    run(Settings(implementations=(target,), jobs=1, witness=False, **settings))
    calls = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [call for call in calls if sizes(call)[0]]  # an empty batch shows nothing


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pairs_are_met_in_160_configurations(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    possible: dict[int, set[tuple[tuple[int, str], ...]]],
    seed: int,
):
    calls = recorded(tmp_path / "calls", monkeypatch, seed=seed, examples=160)
    met = tuples(map(levels, calls), 2)
    assert len(met & possible[2]) >= 0.97 * len(possible[2])
    assert {call["weights"] for call in calls} == {"C", "other"}


def test_triples_and_ends_are_met_by_default(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    possible: dict[int, set[tuple[tuple[int, str], ...]]],
):
    calls = recorded(tmp_path / "calls", monkeypatch)
    met = tuples(set(map(levels, calls)), 3)
    assert len(met & possible[3]) >= 0.9 * len(possible[3])
    plain = {
        (tuple(call["kernel"][:2]), tuple(call["strides"]), call["padding"], call["groups"] > 1)
        for call in calls
        if max(call["dilation_rate"]) == 1
    }
    for kernel, stride in ((1, 1), (1, 2), (3, 1), (3, 2)):
        for padding in ("valid", "same"):
            assert ((kernel, kernel), (stride, stride), padding, False) in plain
    for kernel, stride in ((3, 1), (3, 2), (5, 1), (7, 1)):
        assert ((kernel, kernel), (stride, stride), "same", True) in plain
    assert max(sizes(call)[0] for call in calls) >= 65
    assert max(sizes(call)[3] for call in calls) >= 257
    assert max(call["kernel"][3] for call in calls) >= 1025
    assert max(call["groups"] for call in calls) >= 257
    assert min(map(max, zip(*map(output, calls), strict=True))) >= 257
