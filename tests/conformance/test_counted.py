"""Cases that are counted together come to the same as each by itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from conformance.case import Case
from conformance.journals import counted
from conformance.journals.counted import COVERED, Counted
from conformance.plan import Asked, plan
from conformance.plan.classes import CLASSES, classes_of
from conformance.plan.coverage import Met
from conformance.plan.factors import row_of
from conformance.results import Status

STATUSES = (Status.PASSED, Status.FAILED, Status.UNSUPPORTED)


@pytest.fixture(scope="module", params=["function", "layer"])
def added(request: pytest.FixtureRequest) -> list[tuple[Case, Status, bool]]:
    """Every case of a short plan some times, with other seeds and statuses."""
    asked = Asked(request.param, contract=request.param == "layer")
    cases = [case for planned in plan(0, asked, limit=40) for case in planned.example]
    found = []
    for number, case in enumerate(cases * 3):
        status = STATUSES[number * 7 // 5 % 3]
        one = replace(case, seed=number, weights=number % 5 or None)
        found.append((one, status, status is Status.UNSUPPORTED))
    return found


@pytest.fixture(params=[1, 7, 10_000])
def together(
    request: pytest.FixtureRequest,
    added: list[tuple[Case, Status, bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> Counted:
    """All of them, counted so many kinds at once."""
    monkeypatch.setattr(counted, "AT_ONCE", request.param)
    found = Counted()
    for case, status, declined in added:
        found.add(case, status, declined=declined)
    return found


def test_values_are_counted_case_by_case(added: list[tuple[Case, Status, bool]], together: Counted):
    for name, shown in COVERED.items():
        one_by_one = Counter(
            (shown(case), str(status))
            for case, status, _ in added
            if case.asks != "life" or name == "varied"
        )
        assert one_by_one == {
            (value, status): number
            for value, counts in together.coverage[name].items()
            for status, number in counts.items()
        }


def test_classes_are_counted_case_by_case(
    added: list[tuple[Case, Status, bool]], together: Counted
):
    one_by_one: Counter[tuple[str, str, str]] = Counter()
    for case, status, _ in added:
        for (kind, names), number in zip(
            CLASSES.items(), classes_of(case, row_of(case)), strict=True
        ):
            if number >= 0:
                one_by_one[kind, names[number], str(status)] += 1
    assert one_by_one == {
        (*name, status): number
        for name, counts in together.classes.items()
        for status, number in counts.items()
    }


def test_what_was_met_is_that_of_every_case(
    added: list[tuple[Case, Status, bool]], together: Counted
):
    claims = Asked().claims
    for met, wanted in ((together.answered, False), (together.declined, True)):
        alone = Met([c for c, _, declined in added if declined is wanted and c.asks != "life"])
        assert np.array_equal(met.levels, alone.levels)
        assert met.popular == alone.popular
        assert met.largest == alone.largest
        assert [met.tuples(claims, n) for n in (2, 3)] == [alone.tuples(claims, n) for n in (2, 3)]


def test_more_may_be_added_after_it_was_looked_at(added: list[tuple[Case, Status, bool]]):
    at_the_end, between = Counted(), Counted()
    for case, status, declined in added:
        at_the_end.add(case, status, declined=declined)
        between.add(case, status, declined=declined)
        between.answered  # noqa: B018 - it looks up what waits
    assert between.coverage == at_the_end.coverage
    assert between.classes == at_the_end.classes
