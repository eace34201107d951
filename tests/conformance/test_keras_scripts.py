"""Scripts for layers of Keras need Keras alone: what Keras breaks fails, what it keeps passes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from tried import judged, shown

from conformance.adapters.keras_lives import OF_TENSORFLOW, WAYS
from conformance.case import Case
from conformance.checks import Judgement
from conformance.implementations.base import Implementation
from conformance.reproducers import life_causes
from conformance.reproducers.function_source import source_of
from conformance.reproducers.reproducer import script
from conformance.results import Status
from conformance.targets import resolve

pytest.importorskip("keras")
HERE = Path(__file__).parent
EVERY_WAY = {**WAYS, **OF_TENSORFLOW}
# As where it is measured: what Keras warns of is no failure.
pytestmark = pytest.mark.filterwarnings("ignore")

KERAS = "keras-tensorflow"
# Who fails, the check, how its cause begins, what is varied there, and where Keras is correct.
BROKEN = (
    (KERAS, "shapes_agree", "a call returns another shape", "activation.glu", "activation.relu"),
    (
        "own_layers:SpecifiesNothing",
        "shapes_agree",
        "a call on a symbolic tensor raises",
        "strides.uneven",
        "strides.uneven",
    ),
    (
        "own_layers:SpecifiesNoBatch",
        "shapes_agree",
        "a call on a symbolic tensor gives another shape",
        "strides.uneven",
        "strides.uneven",
    ),
    (
        KERAS,
        "shapes_agree",
        "a call on a symbolic tensor gives another dtype",
        "activation.leaky_layer",
        "activation.relu",
    ),
    (
        "own_layers:SpecifiesHalves",
        "stages_agree",
        "a call on a symbolic tensor tells another",
        "input.float64",
        "input.float64",
    ),
    (KERAS, "modes_agree", "stores another", "mode.stored_lora", "mode.saved"),
    (
        KERAS,
        "stages_agree",
        "build refuses a shape that",
        "build.negative_channels",
        "build.unknown_batch",
    ),
    (
        KERAS,
        "stages_agree",
        "a call refuses a later change that",
        "then.lora_of_rank_zero",
        "then.lora",
    ),
    (KERAS, "stages_agree", "get_config refuses", "activation.layer_class", "activation.relu"),
    (
        KERAS,
        "stages_agree",
        "reading losses refuses",
        "kernel_regularizer.orthogonal",
        "kernel_regularizer.l2",
    ),
    (
        KERAS,
        "refused_on_purpose",
        "set_weights refuses",
        "set_weights.numbers",
        "set_weights.one_more",
    ),
    (KERAS, "documented_values", "accepts", "autocast.text", "strides.letters"),
    (
        KERAS,
        "revived_attributes",
        "a layer made by from_config has another ",
        "autocast.false",
        "strides.uneven",
    ),
    (
        KERAS,
        "revived_attributes",
        "get_config cannot be written",
        "filters.zero_rank_array",
        "filters.true",
    ),
)
# What these raise is the layer's own error.
OF_THE_LAYER = {
    "a call on a symbolic tensor raises": "NotImplementedError",
    "a call refuses a later change that": "ZeroDivisionError",
    "get_config refuses": "TypeError",
    "reading losses refuses": "ValueError",
    "set_weights refuses": "AttributeError",
    "get_config cannot be written": "TypeError",
}
# One process runs them all: TensorFlow takes seconds to start.
RUNNER = """\
import json, sys

names = []
for source in json.load(sys.stdin):
    try:
        exec(compile(source, "reproducer.py", "exec"), {"__name__": "__main__"})
        name = ""
    except SystemExit as ended:
        name = str(ended.code or "")
    except Exception as error:
        name = type(error).__name__
    names.append(name)
print(json.dumps(names))
"""


def case_of(but: str, dtype: str = "bfloat16-") -> Case:
    return Case.parse(f"in1x7x7x4-f2-k3-{dtype}but.{but}-integers.1")


@cache
def measured(name: str) -> Implementation:
    implementation = resolve(name)
    implementation.setup()
    return implementation


def script_of(name: str, case: Case, failed: Judgement) -> str:
    return script(shown(case, failed), measured(name).info(name))


def raised_by(sources: list[str], without: Path) -> list[str]:
    """What each script raises, in a process that cannot import this suite; "" if it passes."""
    (without / "conformance.py").write_text("raise ImportError('the suite is not here')", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(sources),
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(without), str(HERE)])},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def failure_of(name: str, check: str, cause: str, but: str) -> Judgement:
    return next(
        j
        for j in judged(case_of(but), measured(name), (check,))
        if j.status is Status.FAILED and j.check == check and j.cause.startswith(cause)
    )


def test_what_keras_breaks_fails_and_what_it_keeps_passes(tmp_path: Path):
    failures = [failure_of(name, check, cause, but) for name, check, cause, but, _ in BROKEN]
    told = list(zip(BROKEN, failures, strict=True))
    broken = [script_of(name, case_of(but), failed) for (name, _, _, but, _), failed in told]
    kept = [script_of(KERAS, case_of(other), failed) for (*_, other), failed in told]
    raised = raised_by([*broken, *kept], tmp_path)
    wanted = [OF_THE_LAYER.get(cause, "AssertionError") for _, _, cause, _, _ in BROKEN]
    assert raised == [*wanted, *[""] * len(kept)], list(
        zip([*BROKEN, *BROKEN], raised, strict=True)
    )


def test_each_way_to_show_a_cause_is_tried():
    met = [failure_of(name, check, cause, but) for name, check, cause, but, _ in BROKEN]
    for shows in life_causes.WAYS:
        for pattern in shows.causes if shows.of_keras else ():
            assert any(f.check == shows.check and re.match(pattern, f.cause) for f in met), (
                f"{shows.check}: {pattern}"
            )


@pytest.mark.parametrize("setting", ["channels_first", "mixed_float16", "mixed_bfloat16"])
def test_settings_of_keras_are_written_out(tmp_path: Path, setting: str):
    """A script for a case that Keras passes ends without an error."""
    case = case_of(f"global.{setting}", "")
    found = Judgement("varied_output", Status.FAILED, "returns other values", "they differ")
    assert raised_by([script_of(KERAS, case, found)], tmp_path) == [""]


@pytest.mark.parametrize("mode", EVERY_WAY)
def test_a_way_to_call_a_layer_is_written_out(mode: str):
    source = source_of(EVERY_WAY[mode])
    if mode == "trained":  # it is compared with a gradient of the reference
        assert source is None
    else:
        assert source is not None
        compile("\n".join(source), "way.py", "exec")


def test_every_way_to_call_a_layer_ends_as_the_suite_says(tmp_path: Path):
    failed = Judgement("modes_agree", Status.FAILED, "it returns other values", "")
    cases = [case_of(f"mode.{mode}") for mode, way in EVERY_WAY.items() if source_of(way)]
    sources = [script_of(KERAS, case, failed) for case in cases]
    assert not any("conformance" in source for source in sources)
    wrong = [
        any(j.status is Status.FAILED for j in judged(case, measured(KERAS), ("modes_agree",)))
        for case in cases
    ]
    assert any(wrong)
    raised = raised_by(sources, tmp_path)
    assert raised == ["AssertionError" if is_wrong else "" for is_wrong in wrong]
