"""The reference gives what real keras.layers.Conv2D gives; TensorFlow's limits are its own."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from conformance.case import Case
from conformance.expectations import shipped
from conformance.journals.outcomes import outcomes_of
from conformance.processes.worker import Worker
from conformance.results import Status
from reference_impl import Conv2D

# The layers of the examples that people write, one after the other.
STACK: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (
        (),
        {"filters": 16, "kernel_size": 2, "strides": 2, "activation": "relu",
         "input_shape": (200, 200, 1)},
    ),
    ((), {"filters": 32, "kernel_size": 3, "padding": "same", "activation": "relu"}),
    ((64, (2, 2)), {"activation": "relu"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return keras


@pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`:UserWarning")
def test_the_stacked_examples_give_the_values_of_keras(keras: Any):
    """On integers whose every partial sum is exact, so to the last bit."""
    rng = np.random.default_rng(0)
    theirs = ours = rng.integers(-2, 3, (2, 200, 200, 1)).astype(np.float32)
    for (arguments, keywords), shape in zip(
        STACK, [(2, 100, 100, 16), (2, 100, 100, 32), (2, 99, 99, 64)], strict=True
    ):
        their_layer = keras.layers.Conv2D(*arguments, **keywords)
        our_layer = Conv2D(*arguments, **keywords)
        their_layer.build(theirs.shape)
        our_layer.build(ours.shape)
        weights = [rng.integers(-1, 2, w.shape).astype(np.float32) for w in our_layer.get_weights()]
        assert [w.shape for w in their_layer.get_weights()] == [w.shape for w in weights]
        their_layer.set_weights(weights)
        our_layer.set_weights(weights)
        assert our_layer.compute_output_shape(ours.shape) == shape
        assert their_layer.compute_output_shape(theirs.shape) == shape
        theirs, ours = np.asarray(their_layer(theirs)), our_layer(ours)
        assert ours.shape == shape
        assert ours.dtype == theirs.dtype == np.float32
        assert np.array_equal(ours, theirs)
        assert 0 < (ours > 0).mean() < 1
        assert abs(ours).max() < 2**24


def statuses(worker: Worker, text: str) -> dict[str, tuple[Status, str]]:
    case, subject = Case.parse(text), worker.start()
    (reply,) = worker.run((case,))
    return {o.check: (o.status, o.cause) for o in outcomes_of(reply, case, subject, shipped())}


def test_channels_first_without_groups_is_unsupported_in_the_words_of_tensorflow(
    keras_worker: Worker,
):
    found = statuses(keras_worker, "in2x3x5x6-f4-k3-cf-float64-integers.1")
    status, cause = found.pop("output_shape")
    assert status is Status.UNSUPPORTED
    assert "Conv2D" in cause
    assert "NHWC" in cause
    assert "\x1b" not in cause
    assert found.pop("compute_output_shape")[0] is Status.PASSED
    assert found
    assert {s for s, _ in found.values()} == {Status.UNSUPPORTED}


@pytest.mark.parametrize(
    "text",
    [
        "in2x4x5x6-f6-k3-g2-cf-integers.1",
        "in2x5x6x4-f6-k3x2-same-g2-integers.1",
        "in0x5x6x4-f6-k3x2-g2-integers.1",
        "in1x3x3x2-f3-k5x4-same-integers.1",
        "in2x8x9x3-f16-k3x2-s2-same-a.relu-nobias-float16-normal.7",
        "in2x8x9x3-f5-k3-d1x2-mixed_bfloat16-view.sliced-normal.7",
    ],
)
def test_real_keras_passes_every_check(keras_worker: Worker, text: str):
    assert {s for s, _ in statuses(keras_worker, text).values()} == {Status.PASSED}


def test_who_is_measured_is_named_with_its_versions(keras_worker: Worker):
    subject = keras_worker.start()
    assert (subject.name, subject.kind) == ("keras-tensorflow", "layer")
    assert subject.version.startswith("Keras 3.")
    assert "TensorFlow 2." in subject.version
