"""The headline leads with a disagreement of Keras and the reference, and says who judged."""

from __future__ import annotations

from dataclasses import replace

import pytest
import report_samples as samples

from conformance.headline import headline
from conformance.results import Finding, Status, Verdict

AGREE = "Real Keras and the reference agree on every case."


def test_a_witness_that_agrees_stands_last():
    lines = headline(
        [samples.conforming("a")], samples.conforming(), measures_keras=False, keras_installed=True
    )
    assert lines[0].startswith("a conforms")
    assert lines[-1] == AGREE


def test_an_unlisted_disagreement_comes_first():
    lines = headline(
        [samples.conforming("a")], samples.failing(), measures_keras=False, keras_installed=True
    )
    assert lines[0].startswith("Keras and the reference disagree where no entry expects it: ")


def test_of_keras_that_was_not_tried_nothing_is_said():
    untried = samples.conforming(verdict=Verdict.INCONCLUSIVE, cases=0, configurations=0)
    lines = headline([untried], None, measures_keras=True, keras_installed=True)
    assert len(lines) == 1
    assert "no value was judged in 0 cases" in lines[0]


def test_a_failure_of_the_suite_is_told_as_such():
    lost = replace(expected_ones(2)[0], status=Status.HARNESS_ERROR)
    open_ = samples.conforming("a", verdict=Verdict.INCONCLUSIVE, findings=[lost])
    (line, *_) = headline([open_], None, measures_keras=False, keras_installed=True)
    assert line.startswith("a is inconclusive: the suite itself failed 2 times in ")


def test_known_faults_are_counted_in_one_line():
    known = replace(samples.conforming(), findings=expected_ones(2, 1))
    lines = headline([known], None, measures_keras=True, keras_installed=True)
    assert lines[1:] == [
        f"Real Keras and the reference agree except for 2 known faults of {known.version}, "
        "met 3 times: see Expected failures in the report."
    ]


def test_one_known_fault_stands_after_what_is_unlisted():
    keras = samples.failing()
    keras = replace(keras, findings=[*keras.findings[:1], *expected_ones(1)])
    lines = headline([samples.conforming("a")], keras, measures_keras=False, keras_installed=True)
    assert lines[1] == (
        f"They also differ by 1 known fault of {keras.version}, met 1 time: "
        "see Expected failures in the report."
    )


def expected_ones(*counts: int) -> list[Finding]:
    found = next(f for f in samples.failing().findings if f.status is Status.EXPECTED_FAILURE)
    return [replace(found, reason=f"fault {n}", count=count) for n, count in enumerate(counts)]


def test_keras_itself_needs_no_witness():
    lines = headline([samples.conforming()], None, measures_keras=True, keras_installed=True)
    assert lines[1:] == [AGREE]


@pytest.mark.parametrize(
    ("installed", "why"),
    [
        (True, "not cross-checked by real Keras"),
        (False, "Keras with TensorFlow is not installed here"),
    ],
)
def test_without_a_witness_it_says_why(installed: bool, why: str):
    results = [samples.conforming("a")]
    lines = headline(results, None, measures_keras=False, keras_installed=installed)
    assert lines[-1] == f"Expected values come from the reference alone: {why}."
