"""Every reproducer fails today, without the suite where it can, and passes once it is mended."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lonely
import numpy as np
import planted
import pytest
import tried
from tried import judged
from wrong_layers import (
    CAUSES,
    RIGHT,
    WRONG,
    AddsAWeight,
    KeepsWhatItIsGiven,
    SaysTheSame,
)

import conformance
from conformance.campaign import findings, run
from conformance.case import Case
from conformance.causes import members, shown, unexpected
from conformance.checks import CHECKS, Judgement
from conformance.implementations.info import Info, Reproducer
from conformance.processes.limits import Limits
from conformance.reproducers import reproducer
from conformance.reproducers.life_causes import WAYS
from conformance.reproducers.literals import Literals
from conformance.reproducers.reproducer import Shown, script
from conformance.results import Finding, ImplementationResult, Report, Status
from conformance.targets import Target, resolve
from conformance.variations import VARIATIONS

FAILED = Status.FAILED
HERE = Path(__file__).parent
ALONE = {
    "exact_values": "exact_values",
    "bounded_values": "bounded_values",
    "special_values": "special_values",
    "output_shape": "output_shape",
    "output_dtype": "output_dtype",
    "own_memory": "own_memory",
    "repeated_call": "repeated_call",
    "batch_independence": "batch_independence",
    "unchanged_inputs": "unchanged_inputs",
    "refused_call": "refused_call",
    "raises": "output_shape",
    "leaves": "output_shape",
    "lists": "output_shape",
    "crashes": "output_shape",
    "hangs": "output_shape",
    "views": "exact_values",
    "remembers": "exact_values",
    "Shapes": "compute_output_shape",
    "Weights": "unchanged_inputs",
}
WITH_THE_SUITE = {
    "WithWrongFunction": "function_values",
    "WithWrongKernelGradient": "gradient_values",
    "ClaimsGroups": "claimed_capability",
}


@pytest.fixture(scope="module")
def measured() -> Iterator[Report]:
    """All of them, on few configurations."""
    names = [*(f"lonely:{name}" for name in ALONE), *(f"planted:{n}" for n in WITH_THE_SUITE)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "keras_is_installed", lambda: False)
        for lost in (Status.CRASHED, Status.TIMED_OUT):  # each try costs a process
            patch.setitem(findings.ATTEMPTS, lost, 3)
        settings = run.Settings(
            implementations=tuple(map(Target, names)),
            examples=45,
            limits=Limits(case=2.0),
        )
        yield run.run(settings).report


def result_of(report: Report, name: str) -> ImplementationResult:
    (result,) = (r for r in report.implementations if r.name == name)
    return result


def finding_of(report: Report, name: str, check: str) -> Finding:
    found = result_of(report, name).findings
    return next(finding for finding in found if finding.check == check)


def executed(source: str, *first: Path) -> subprocess.CompletedProcess[str]:
    """Run a script with `first` before all else that can be imported."""
    path = os.pathsep.join([*map(str, first), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def without_the_suite(tmp_path: Path) -> Path:
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "conformance.py").write_text("raise ImportError('the suite is not here')", "utf-8")
    return folder


def test_there_is_a_wrong_one_for_each_check():
    lives = {check for check, _, _ in WRONG}
    assert {*ALONE.values(), *WITH_THE_SUITE.values(), *lives} == {*CHECKS}


@pytest.mark.parametrize("name", ALONE)
def test_fails_without_the_suite_and_passes_once_mended(
    measured: Report, without_the_suite: Path, tmp_path: Path, name: str
):
    finding = finding_of(measured, f"lonely:{name}", ALONE[name])
    failed = executed(finding.reproducer, without_the_suite)
    assert failed.returncode == 1, finding.reproducer + failed.stdout + failed.stderr
    assert "Error" in failed.stderr or "return" in failed.stderr
    for trouble in ("NameError", "ModuleNotFoundError", "ImportError", "SyntaxError"):
        assert trouble not in failed.stderr
    (tmp_path / "lonely.py").write_text(lonely.MENDED, "utf-8")
    mended = executed(finding.reproducer, tmp_path, without_the_suite)
    assert mended.returncode == 0, finding.reproducer + mended.stdout + mended.stderr


@pytest.mark.parametrize("name", WITH_THE_SUITE)
def test_fails_for_what_needs_the_suite(measured: Report, name: str):
    finding = finding_of(measured, f"planted:{name}", WITH_THE_SUITE[name])
    failed = executed(finding.reproducer)
    assert failed.returncode == 1, failed.stderr
    assert "Traceback" in failed.stderr
    for trouble in ("NameError", "ModuleNotFoundError", "ImportError", "SyntaxError"):
        assert trouble not in failed.stderr


def test_the_one_that_leads_each_cause_fails(measured: Report):
    for result in measured.implementations:
        for cause in unexpected(result)[:2]:
            source = shown(members(cause, result.findings)).reproducer
            assert executed(source).returncode == 1, (result.name, source)


def test_a_correct_one_passes_all_kinds_of_scripts():
    info = resolve("planted:right").info("planted:right")
    for text in (
        "in2x5x4x2-f2-k2x3-same-integers.0",
        "in2x5x4x2-f2-k2x3-same-normal.0",
        "in2x5x4x2-f2-k2x3-same-bfloat16-view.sliced-normal.0",
        "in2x5x4x2-f2-k2x3-same-view.reversed-kernel.oihw-special.0",
        "in2x5x4x2-f2-k2x3-float16-view.unaligned-bias.sliced-huge.0",
        "in1x30x30x8-f16-k3x3-normal.0",
    ):
        case = Case.parse(text)
        check = {"integers": "exact_values", "special": "special_values"}.get(
            case.data, "bounded_values"
        )
        source = script(Shown(cases=(case,), check=check, status=Status.FAILED), info)
        done = executed(source)
        assert (done.returncode, done.stderr) == (0, ""), source[:2000]


def test_what_is_too_large_for_a_script_is_replayed():
    info = resolve("planted:off_by_one").info("planted:off_by_one")
    case = Case.parse("in1x200x200x8-f8-k3-normal.0")
    shown_ = Shown(cases=(case,), check="bounded_values", status=Status.FAILED)
    source = script(shown_, info)
    assert len(source) < 2000
    assert executed(source).returncode == 1


def test_foreign_words_stay_in_comments():
    info = Info(name="a\nprint('out')", kind="function")
    told = Shown(
        cases=(Case.parse("in1x1x1x1-f1-k1-integers.0"),),
        check="output_shape",
        status=Status.CRASHED,
        message="'''\nraise SystemExit(0)\n'''",
    )
    source = script(told, info)
    compile(source, "reproducer.py", "exec")
    assert "\nprint('out')" not in source
    assert "\nraise SystemExit" not in source


ONE = (Case.parse("in1x1x1x1-f1-k1-integers.0"),)
UNTESTED = {
    "a function": ("planted:off_by_one", Shown(cases=ONE, check="exact_values", status=FAILED)),
    "a layer": ("wrong_layers:KeepsWeights", Shown(cases=ONE, check="exact_values", status=FAILED)),
    "by the suite": ("planted:ClaimsGroups", Shown(cases=ONE, check="output_shape", status=FAILED)),
    "a crash": ("planted:leaves", Shown(cases=ONE, check="output_shape", status=Status.CRASHED)),
    "a replay": (
        "planted:off_by_one",
        Shown(
            cases=(Case.parse("in1x200x200x8-f8-k3-normal.0"),),
            check="bounded_values",
            status=FAILED,
        ),
    ),
}


@pytest.mark.parametrize("kind", UNTESTED)
def test_what_cannot_be_imported_cannot_be_tested_and_git_bisect_skips_it(
    tmp_path: Path, kind: str
):
    name, what = UNTESTED[kind]
    source = script(what, resolve(name).info(name))
    assert executed(source).returncode != 125
    module = tmp_path / f"{name.partition(':')[0]}.py"
    module.write_text("import an_engine_that_is_not_here\n", "utf-8")
    lost = executed(source, tmp_path)
    assert lost.returncode == 125, source + lost.stderr
    (told,) = lost.stderr.splitlines()
    assert told.startswith("It cannot be tested, for it cannot be imported: ")
    assert "an_engine_that_is_not_here" in told


def test_an_engine_that_cannot_be_imported_cannot_be_tested(tmp_path: Path):
    info = Info(
        name="keras-tensorflow",
        kind="layer",
        reproducer=Reproducer(imports=("import keras",), made_by="keras.layers.Conv2D"),
    )
    source = script(Shown(cases=ONE, check="exact_values", status=FAILED), info)
    (tmp_path / "keras.py").write_text("raise ImportError('no backend')\n", "utf-8")
    lost = executed(source, tmp_path)
    assert (lost.returncode, lost.stderr.count("\n")) == (125, 1), lost.stderr


@pytest.mark.parametrize(
    "content",
    ["raise ValueError('a bug')\n", "def off_by_one(*_, **__):\n    import not_there\n"],
)
def test_what_fails_otherwise_is_bad_for_git_bisect(tmp_path: Path, content: str):
    name, what = UNTESTED["a function"]
    source = script(what, resolve(name).info(name))
    (tmp_path / "planted.py").write_text(content, "utf-8")
    assert executed(source, tmp_path).returncode == 1


def test_what_has_no_name_says_so():
    report = conformance.check(
        lambda x, kernel, bias=None, **given: planted.off_by_one(x, kernel, bias, **given),
        case="in1x1x1x1-f1-k1-integers.0",
    )
    done = executed(report.findings[0].reproducer)
    assert done.returncode == 1
    assert "implementation has to be defined first" in done.stderr


def test_a_package_that_registers_a_function_is_imported_itself():
    assert "from planted import off_by_one" in "\n".join(
        resolve("planted:off_by_one").info("planted:off_by_one").reproducer.imports
    )


def alike(but: str) -> str:
    """A case of that variation."""
    groups = "-g2" if "odd_channels" in but else ""
    return f"in1x7x7x4-f2-k3{groups}-{but}-integers.1"


def script_of(name: str, case: Case, failed: Judgement) -> str:
    """The script for `name` of what `failed` on another."""
    return script(tried.shown(case, failed), resolve(name).info(name))


LIVES = (
    *((check, "", case, layer) for check, case, layer in WRONG),
    *((check, cause, alike(but), layer) for check, cause, but, layer in CAUSES),
)


@pytest.mark.parametrize(("check", "cause", "case", "layer"), LIVES, ids=lambda v: str(v)[-40:])
def test_what_is_wrong_in_the_life_of_a_layer_fails_and_a_correct_layer_passes(
    without_the_suite: Path, check: str, cause: str, case: str, layer: type
):
    failed = next(
        j
        for j in judged(Case.parse(case), layer)
        if j.status is Status.FAILED and j.check == check and j.cause.startswith(cause)
    )
    # Replayed by the suite, which finds the mode, and what a layer of Keras promises.
    by_the_suite = check in RIGHT
    right = f"wrong_layers:{RIGHT[check].__name__}" if by_the_suite else "reference_impl:Conv2D"
    for name, code in {f"wrong_layers:{layer.__name__}": 1, right: 0}.items():
        source = script_of(name, Case.parse(case), failed)
        done = executed(source, *(() if by_the_suite else (without_the_suite,)), HERE)
        assert done.returncode == code, source + done.stdout + done.stderr


def ends(source: str) -> str:
    """What a script raises when it is executed here, "" if nothing."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            exec(compile(source, "reproducer.py", "exec"), {"__name__": "__main__"})
        except SystemExit as ended:
            return str(ended.code or "")
        except Exception as error:  # noqa: BLE001 - its type is what is wanted
            return type(error).__name__
    return ""


@pytest.mark.parametrize("layer", [KeepsWhatItIsGiven, AddsAWeight])
@pytest.mark.filterwarnings("ignore")
def test_a_script_for_each_variation_fails_just_where_the_layer_does(layer: type):
    """Whatever is varied: with the wrong layer it raises, with the reference it does not."""
    name = f"wrong_layers:{layer.__name__}"
    found = [
        (but, failed)
        for but in VARIATIONS
        for failed in judged(Case.parse(alike(f"but.{but}")), layer)
        if failed.status is Status.FAILED
    ]
    assert len(found) > 20
    told = {}
    for but, failed in found:
        case = Case.parse(alike(f"but.{but}"))
        wrong, right = (script_of(n, case, failed) for n in (name, "reference_impl:Conv2D"))
        if "replay" not in wrong:
            told[but, failed.check] = bool(ends(wrong)), ends(right)
    assert {key: ended for key, ended in told.items() if ended != (True, "")} == {}
    assert len(told) > len(found) / 2


@pytest.mark.parametrize("name", ["layer", "made", "shape"])
def test_a_layer_may_be_called_as_something_in_a_script(tmp_path: Path, name: str):
    (tmp_path / "clash.py").write_text(
        f"from wrong_layers import SaysTheSame\n{name} = SaysTheSame\n", "utf-8"
    )
    case = Case.parse(alike("but.use_bias.false"))
    failed = next(j for j in judged(case, SaysTheSame) if j.check == "shapes_agree")
    info = Info(
        name=f"clash:{name}",
        kind="layer",
        reproducer=Reproducer(imports=(f"from clash import {name}",), made_by=name),
    )
    done = executed(script(tried.shown(case, failed), info), tmp_path, HERE)
    assert done.returncode == 1
    assert "AssertionError: (1, 5, 10, 2), not [1, 5, 5, 2]" in done.stderr


def test_what_cannot_be_written_costs_a_script_and_not_the_report(monkeypatch: pytest.MonkeyPatch):
    def stumbles(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(reproducer, "expected_of_function", stumbles)
    case = Case.parse("in1x1x1x1-f1-k1-integers.0")
    told = Shown(cases=(case,), check="function_values", status=FAILED)
    source = script(told, resolve("planted:right").info("planted:right"))
    assert "# It is replayed, for a script of its own met KeyError: 'x'." in source
    assert "'replay'" in source


def test_memory_of_axes_of_size_1_is_kept():
    """Their strides may be any, which engines have stumbled over."""
    array = np.lib.stride_tricks.as_strided(np.arange(4.0), (1, 4, 1), (0, 8, 24))
    literals = Literals()
    source = literals.placed(array)
    names: dict[str, Any] = {"np": np}
    for helper in literals.helpers:
        exec(helper, names)
    made = eval(source, names)
    assert (made.strides, made.tolist()) == (array.strides, array.tolist())


def test_what_ends_the_process_of_a_life_is_replayed():
    case = Case.parse(alike("but.use_bias.false"))
    told = Shown(
        cases=(case,),
        check="refusals",
        status=Status.FAILED,
        cause="a call refuses a value of use_bias that Keras accepts",
        message="call refuses use_bias=False: SystemExit",
        exits=True,
    )
    source = script(told, resolve("reference_impl:Conv2D").info("reference_impl:Conv2D"))
    assert "'replay'" in source


def test_each_way_to_show_a_cause_is_tried():
    """Those of layers of Keras are in test_keras_scripts.py."""
    met = {
        (failed.check, failed.cause)
        for _, _, case, layer in LIVES
        for failed in judged(Case.parse(case), layer)
        if failed.status is Status.FAILED
    }
    for shows in (shows for shows in WAYS if not shows.of_keras):
        for pattern in shows.causes:
            assert any(shows.check == check and re.match(pattern, cause) for check, cause in met), (
                f"{shows.check}: {pattern}"
            )


@pytest.mark.parametrize("name", [n for n, row in VARIATIONS.items() if "keras." in row.source])
def test_what_is_varied_by_an_object_of_keras_is_replayed(name: str):
    case = Case.parse(f"in1x7x7x4-f2-k3-but.{name}-integers.1")
    found = Shown(cases=(case,), check="configuration", status=Status.FAILED, message="it raises")
    source = script(found, resolve("reference_impl:Conv2D").info("reference_impl:Conv2D"))
    assert str(case) in source
    assert "import conformance" in source or "-m" in source


@pytest.mark.parametrize("doubt", ["", "doubtful", "untried", "by_chance"])
def test_a_script_promises_no_more_than_was_seen(doubt: str):
    shown = Shown(
        cases=(Case.parse("in1x2x2x1-f1-k1-integers.0"),),
        check="exact_values",
        status=Status.FAILED,
        message="expected 1, got 2",
        **({doubt: True} if doubt else {}),
    )
    text = script(shown, resolve("planted:off_by_one").info("planted:off_by_one"))
    assert ("Exit code 1 as long as it fails" in text) is not bool(doubt)
    assert ("may end with exit code 0" in text) is bool(doubt)
