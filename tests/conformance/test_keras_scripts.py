"""Scripts for layers of Keras need Keras alone: what Keras breaks fails, what it keeps passes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from tried import judged

from conformance.adapters.keras_lives import OF_TENSORFLOW, WAYS
from conformance.case import Case
from conformance.checks import Judgement
from conformance.implementations.base import Implementation
from conformance.reproducers import life_causes
from conformance.reproducers.mode_source import mode_source
from conformance.reproducers.reproducer import Shown, script
from conformance.results import Status
from conformance.targets import resolve

pytest.importorskip("keras")
HERE = Path(__file__).parent
# As where it is measured: what Keras warns of is no failure.
pytestmark = pytest.mark.filterwarnings("default")

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
# One process runs them all: TensorFlow takes seconds to start.
RUNNER = """\
import json, sys

codes = []
for source in json.load(sys.stdin):
    try:
        exec(compile(source, "reproducer.py", "exec"), {"__name__": "__main__"})
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    except Exception as error:
        unfit = isinstance(error, (NameError, SyntaxError, ImportError))
        code = repr(error) if unfit else 1
    codes.append(code)
print(json.dumps(codes))
"""


def case_of(but: str) -> Case:
    return Case.parse(f"in1x7x7x4-f2-k3-bfloat16-but.{but}-integers.1")


@cache
def measured(name: str) -> Implementation:
    implementation = resolve(name)
    implementation.setup()
    return implementation


def script_of(name: str, case: Case, failed: Judgement) -> str:
    told = Shown(
        cases=(case,),
        check=failed.check,
        status=failed.status,
        cause=failed.cause,
        message=failed.message,
    )
    return script(told, measured(name).info(name))


def codes(sources: list[str], without: Path) -> list[int | str]:
    """What each script ends with, in a process that cannot import this suite."""
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
    found: list[int | str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_what_keras_breaks_fails_and_what_it_keeps_passes(tmp_path: Path):
    broken, kept = [], []
    for name, check, cause, but, other in BROKEN:
        failed = next(
            j
            for j in judged(case_of(but), measured(name), (check,))
            if j.status is Status.FAILED and j.check == check and j.cause.startswith(cause)
        )
        broken.append(script_of(name, case_of(but), failed))
        kept.append(script_of(KERAS, case_of(other), failed))
    found = codes([*broken, *kept], tmp_path)
    assert found == [1] * len(broken) + [0] * len(kept), list(
        zip([*BROKEN, *BROKEN], found, strict=True)
    )


def test_each_way_to_show_a_cause_is_tried():
    for shows in life_causes.WAYS:
        if shows.of_keras:
            for begins in shows.causes:
                assert any(
                    check == shows.check and cause.startswith(begins)
                    for _, check, cause, _, _ in BROKEN
                ), f"{shows.check}: {begins}"


def test_settings_of_keras_are_written_out():
    failed = Judgement("shapes_agree", Status.FAILED, "compute_output_shape is wrong", "it is")
    source = script_of(KERAS, case_of("global.mixed_float16"), failed)
    assert "keras.config.set_dtype_policy('mixed_float16')" in source


@pytest.mark.parametrize("mode", [*WAYS, *OF_TENSORFLOW])
def test_a_way_to_call_a_layer_is_written_out(mode: str):
    source = mode_source(mode)
    if mode in ("trained",):  # it is compared with a gradient of the reference
        assert source is None
    else:
        assert source is not None
        compile("\n".join(source.lines), "way.py", "exec")


def test_every_way_to_call_a_layer_ends_as_the_suite_says(tmp_path: Path):
    failed = Judgement("modes_agree", Status.FAILED, "it returns other values", "")
    cases = [case_of(f"mode.{mode}") for mode in (*WAYS, *OF_TENSORFLOW) if mode_source(mode)]
    sources = [script_of(KERAS, case, failed) for case in cases]
    assert not any("conformance" in source for source in sources)
    wrong = [
        any(j.status is Status.FAILED for j in judged(case, measured(KERAS), ("modes_agree",)))
        for case in cases
    ]
    assert any(wrong)
    assert codes(sources, tmp_path) == wrong
