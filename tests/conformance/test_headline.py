"""The headline leads with a disagreement of Keras and the reference, and says who judged."""

from __future__ import annotations

import pytest
import report_samples as samples

from conformance.headline import headline

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
    assert lines[0].startswith("Keras and the reference disagree, unlisted: ")


def test_keras_itself_needs_no_witness():
    lines = headline([samples.conforming()], None, measures_keras=True, keras_installed=True)
    assert lines[1:] == [AGREE]


@pytest.mark.parametrize(
    ("installed", "why"),
    [(True, "real Keras was not asked"), (False, "Keras with TensorFlow is not installed here")],
)
def test_without_a_witness_it_says_why(installed: bool, why: str):
    results = [samples.conforming("a")]
    lines = headline(results, None, measures_keras=False, keras_installed=installed)
    assert lines[-1] == f"Expected values come from the reference alone: {why}."
