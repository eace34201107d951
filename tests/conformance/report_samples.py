"""Reports made by hand, with everything in them that a page has to show."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from conformance.results import (
    Capability,
    Evidence,
    Finding,
    ImplementationResult,
    Listed,
    Listing,
    Ratios,
    Report,
    Status,
    Unsupported,
    Verdict,
)

CHECKS = ("value", "shape", "dtype", "repeatable", "refusals", "bound")
STATEFUL = "in1x4x4x1-f1-k3-same-integers.1+in1x6x6x1-f1-k3-same-integers.2"
HOSTILE = "\x1b[31mTypeError\x1b[0m: <script>alert('x')</script> & 'quotes'\x07"
EDGES = [2.0**e for e in range(-12, 5)]
NEEDS = (
    *(f"dtype {dtype}" for dtype in ("float32", "float64", "float16", "bfloat16")),
    "data_format channels_last",
    "data_format channels_first",
    "padding valid",
    "padding same",
    "groups",
    "dilation",
    "strides with dilation",
)
DECLARED = {
    "dtypes": ["float32", "float64", "float16", "bfloat16"],
    "data_formats": ["channels_last", "channels_first"],
    "paddings": ["valid", "same"],
    "groups": True,
    "dilation": True,
    "strides_with_dilation": False,
    "accumulation": None,
    "algorithm": "direct",
    "deterministic": True,
    "flushes_subnormals": False,
    "gradients": False,
    "symbolic_shapes": True,
}
RULES = {
    "claimed_capability": "Every claimed capability accepts its smallest case.",
    "compute_output_shape": "A layer's compute_output_shape returns the Conv2D output shape.",
    "output_shape": "A call returns an array of the right shape.",
    "output_dtype": "The result has the layer's compute dtype.",
    "exact_values": "On integers with exact partial sums, the result is exact.",
    "bounded_values": "Every element is within its derived bound of the exact result.",
    "repeated_call": "The same input gives the same bits again.",
    "batch_independence": "A sample gives the same values alone as in a batch.",
    "unchanged_inputs": "A call does not change its input or the weights.",
    "function_values": "A function next to a layer is correct too.",
    "gradient_values": "On integers, the gradients are exact.",
}


def counts(**numbers: int) -> dict[str, int]:
    """Outcomes by status, every status present."""
    return {str(status): numbers.get(status, 0) for status in Status}


# Kind of class -> its classes, a part of those there are.
CLASSES = {
    "popular layer": ("3x3 stride 2 same", "3x3 same", "7x7 stride 2 same"),
    "padding": ("valid", "same, even", "same, odd h"),
    "dtype": ("float32", "float16", "bfloat16", "float64"),
    "varied": ("strides", "input"),
}


def classes(**changes: dict[str, int] | None) -> dict[str, dict[str, dict[str, int]]]:
    """All classes passed, but for those in `changes` (``same_odd_h``); None: it has no such one."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for number, (kind, names) in enumerate(CLASSES.items()):
        for place, name in enumerate(names):
            key = re.sub(r"\W+", "_", name)
            met = changes.get(
                f"_{key}" if key[0].isdigit() else key, {"passed": 90 + number - place}
            )
            if met is not None:
                found.setdefault(kind, {})[name] = met
    return found


def listing(*rows: Listed, **changes: Any) -> Listing:
    """A list of `rows`, by default of four that differ in status."""
    case = "in1x{}x3x1-f1-k3x2-same-integers.{}"
    given = rows or (
        Listed(
            implementation="mylib:conv2d",
            case=case.format(4, 1),
            status=Status.PASSED,
            checks=("output_shape", "exact_values"),
        ),
        Listed(
            implementation="mylib:conv2d",
            case=case.format(5, 2),
            status=Status.PASSED,
            checks=("output_shape",),
        ),
        Listed(
            implementation="mylib:conv2d",
            case=case.format(5, 2),
            status=Status.FAILED,
            checks=("exact_values",),
            cause="values differ <b>here</b>",
        ),
        Listed(
            implementation="keras-tensorflow",
            case=case.format(4, 1),
            status=Status.UNSUPPORTED,
            checks=("output_shape", "exact_values"),
            cause="no\x1b[2J half",
        ),
    )
    levels: dict[str, tuple[int | None, ...]] = {
        row.case: (1, int("x5x" in row.case) + 1, 0, None) for row in given
    }
    return replace(
        Listing(rows=list(given), of=len(given), classes=CLASSES, levels=levels), **changes
    )


def capabilities(claimed: tuple[str, ...] | None, **notes: str) -> list[Capability]:
    """Probes of what is `claimed` (None: nothing is declared); those with a note do not work."""
    reasons = {need: notes.get(need.replace(" ", "_"), "") for need in NEEDS}
    return [
        Capability(
            need=need,
            claimed=None if claimed is None else need in claimed,
            works=not reasons[need],
            note=reasons[need],
            case=f"in1x6x5x4-f2-k2x3-valid-cl-float32-integers.{number}",
        )
        for number, need in enumerate(NEEDS)
    ]


def conforming(name: str = "keras-tensorflow", **changes: Any) -> ImplementationResult:
    """A run without a finding."""
    result = ImplementationResult(
        name=name,
        kind="layer",
        version="3.15.1",
        verdict=Verdict.CONFORMS,
        configurations=200,
        cases=600,
        checks={check: counts(passed=600) for check in CHECKS},
        findings=[],
        unsupported=[],
        coverage={"padding": {"valid": counts(passed=310), "same": counts(passed=290)}},
        classes=classes(),
        ratios={
            "float32": Ratios(
                edges=EDGES,
                counts=[312, 0, 0, 1, 3, 8, 20, 44, 71, 60, 31, 9, 2, *[0] * 6],
                largest=0.41,
                p99=0.118,
            ),
            "float16": Ratios(
                edges=EDGES,
                counts=[90, *[0] * 7, 4, 21, 40, 32, 9, *[0] * 6],
                largest=0.72,
                p99=0.5,
            ),
        },
        accumulation="float64",
        declared=DECLARED,
        capabilities=capabilities(NEEDS[:-1], strides_with_dilation="raises ValueError: refused"),
        area={"claimed": 64, "total": 96, "missing": ["strides with dilation"]},
    )
    return replace(result, **changes)


def value_finding(**changes: Any) -> Finding:
    """Wrong values, with everything there is to draw."""
    expected: list[list[float | None]] = [[4, -2, 7], [1, 0, -5], [3, 9, 2]]
    got: list[list[float | None]] = [[4, -2, 7], [1, 0, -5], [3, -6, None]]
    finding = Finding(
        check="value",
        cause="values differ where the kernel reaches into the padding",
        status=Status.FAILED,
        count=34,
        first_at=7,
        minimal_case="in1x3x3x1-f1-k2-same-integers.7",
        message="2 of 9 values differ; worst at [0, 2, 1, 0]: got -6.0, expected 9.0",
        diagnosis="same_padding_on_the_wrong_side",
        reproducer=(
            "import numpy as np\n\nfrom mylib import conv2d\n\n"
            "x = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 'float32').reshape(1, 3, 3, 1)\n"
            "kernel = np.array([[1, -1], [2, 1]], 'float32').reshape(2, 2, 1, 1)\n"
            "got = conv2d(x, kernel, padding='same')\n"
            "assert got[0, 2, 1, 0] == 9, got[0, 2, 1, 0]  # a < b & c\n"
        ),
        when={"padding": "same", "kernel": "h != w"},
        also_passing=3,
        evidence=Evidence(
            expected=expected,
            got=got,
            worst=(2, 1),
            element=(0, 2, 1, 0),
            exact="9",
            reference_value="9.0",
            got_value="-6.0",
            bound="0",
            judgement="The exact value is 9: the reference is right and mylib is not.",
            size=(3, 3),
            window=((2, 4), (1, 3)),
        ),
    )
    return replace(finding, **changes)


def failing(name: str = "mylib:conv2d", **changes: Any) -> ImplementationResult:
    """A run with a finding of every kind."""
    large: list[list[float | None]] = [
        [((3 * r - 5 * c) % 17 - 8) / 3 for c in range(24)] for r in range(24)
    ]
    wrong = [list(row) for row in large]
    wrong[12][20] = 5.5
    wrong[13][20] = -2.25
    findings = [
        value_finding(),
        value_finding(
            check="bound",
            cause="error above the derived bound",
            count=3,
            first_at=41,
            minimal_case="in1x48x48x32-f1-k5x3-s2-same-normal.99",
            message="error 8.1e-4 is 12.4 times the bound 6.5e-5 at [0, 12, 20, 0]",
            diagnosis="sums_in_half_precision",
            when={"data": ["normal", "wide"], "kernel": [5, 3], "bias": False},
            also_passing=0,
            evidence=Evidence(
                expected=large,
                got=wrong,
                worst=(12, 20),
                element=(0, 12, 20, 0),
                exact="0.33333333333333333333",
                exact_fraction="6004799503160661/18014398509481984",
                reference_value="0.3333333333333333",
                got_value="5.5",
                bound="6.5e-05",
                judgement="The reference is within its bound of the exact value; mylib is not.",
                size=(48, 48),
                window=((23, 28), (39, 42)),
            ),
        ),
        value_finding(
            check="shape",
            cause="the result has another shape",
            count=5,
            diagnosis=None,
            when={},
            also_passing=12,
            message="expected (1, 2, 2, 1), got (1, 2, 3, 1)",
            evidence=Evidence(expected=[[1, 2], [3, 4]], got=[[1, 2, 0], [3, 4, 0]]),
        ),
        Finding(
            check="refusals",
            cause="the process was killed",
            status=Status.CRASHED,
            count=1,
            first_at=19,
            minimal_case="in0x3x3x1-f1-k3-integers.1",
            message=HOSTILE,
            when={"batch": "== 0"},
        ),
        Finding(
            check="repeatable",
            cause="the second call gives another result",
            status=Status.FAILED,
            count=2,
            first_at=88,
            minimal_case=STATEFUL,
            message="alone each case passes; the second fails after the first",
        ),
        Finding(
            check="value",
            cause="no answer in time",
            status=Status.TIMED_OUT,
            count=1,
            first_at=120,
            minimal_case="in1x512x512x64-f64-k9-normal.3",
            message="no result after 30 s",
        ),
        Finding(
            check="dtype",
            cause="bfloat16 comes back as float32",
            status=Status.EXPECTED_FAILURE,
            count=12,
            first_at=3,
            minimal_case="in1x1x1x1-f1-k1-bfloat16-integers.0",
            message="expected bfloat16, got float32",
            reason="no bfloat16 output before version 2",
            link="https://example.org/mylib/issues/12",
            when={"compute_dtype": "bfloat16"},
        ),
        Finding(
            check="dtype",
            cause="float16 comes back as float32",
            status=Status.EXPECTED_FAILURE,
            count=4,
            first_at=9,
            minimal_case="in1x1x1x1-f1-k1-float16-integers.0",
            message="expected float16, got float32",
            reason="same cause",
            link="javascript:alert(1)",
        ),
        Finding(
            check="dtype",
            cause="the generator raised",
            status=Status.HARNESS_ERROR,
            count=1,
            first_at=150,
            minimal_case="in1x1x1x1-f1-k1-float64-integers.0",
            message="KeyError: 'x'",
        ),
    ]
    result = conforming(
        name=name,
        kind="function",
        version="1.4.0.dev0",
        verdict=Verdict.FAILS,
        checks={
            "value": counts(passed=520, failed=34, timed_out=1, unsupported=45),
            "shape": counts(passed=550, failed=5, unsupported=45),
            "dtype": counts(
                passed=537, expected_failure=16, unexpected_pass=1, harness_error=1, unsupported=45
            ),
            "repeatable": counts(passed=598, failed=2),
            "refusals": counts(passed=599, crashed=1),
            "bound": counts(passed=597, failed=3),
            "groups": counts(unsupported=45),
            "vectors": counts(),
        },
        findings=findings,
        unsupported=[
            Unsupported(
                reason="groups > 1 <not yet>", count=40, example="in1x3x3x2-f2-k1-g2-integers.0"
            ),
            Unsupported(reason="float64", count=5, example="in1x3x3x1-f1-k1-float64-integers.0"),
        ],
        coverage={"padding": {"valid": counts(passed=310), "same": counts(passed=256, failed=34)}},
        classes=classes(
            _3x3_same={"passed": 30, "failed": 4},
            _7x7_stride_2_same={},
            same_odd_h={"failed": 30, "crashed": 1, "passed": 2, "unsupported": 6},
            float64={"unsupported": 45},
            bfloat16=None,
            same_even={"passed": 40, "expected_failure": 16},
        ),
        weak=["1 of 3 popular layers refused or not met: 7x7 stride 2 same."],
        ratios={
            "float32": Ratios(
                edges=EDGES,
                counts=[212, 0, 0, 0, 2, 5, 22, 50, 61, 70, 40, 8, 3, 1, 0, 1, 0, 1, 1],
                largest=float("inf"),
                p99=0.9,
                failing=3,
            ),
            "float16": Ratios(),
        },
        accumulation="float32",
        declared=None,
        capabilities=capabilities(None, groups="groups > 1 <not yet>", dtype_float64="float64"),
        notes=["Passes in 1 case that should fail: same cause."],
    )
    return replace(result, **changes)


def claiming(name: str = "fast:Winograd", **changes: Any) -> ImplementationResult:
    """A run in which a claim is broken, another one fails as expected, and one is too modest."""
    claimed = tuple(need for need in NEEDS if need != "dtype float64")
    probes = capabilities(
        claimed,
        dtype_float16="refuses in1x6x5x4-f2-k2x3-valid-cl-float32-integers.2: no half",
        groups="refuses in1x6x5x4-f2-k2x3-valid-cl-float32-integers.8: one group only",
        dilation="2 of 12 values differ",
    )
    findings = [
        Finding(
            check="claimed_capability",
            cause=f"claims {probes[number].need} but refuses it",
            status=status,
            count=1,
            first_at=1,
            minimal_case=probes[number].case,
            message=probes[number].note,
            reason=reason,
        )
        for number, status, reason in (
            (2, Status.FAILED, ""),
            (8, Status.EXPECTED_FAILURE, "groups come in version 3"),
        )
    ]
    strict = Finding(
        check="value",
        cause="pads in the wrong axis order",
        status=Status.UNEXPECTED_PASS,
        count=11,
        first_at=4,
        minimal_case="in1x3x3x1-f1-k2x1-same-integers.7",
        message="",
        reason="pads in the wrong axis order",
        link="https://example.org/fast/issues/7",
        when={"padding": "same"},
    )
    result = conforming(
        name=name,
        verdict=Verdict.FAILS,
        checks={
            "claimed_capability": counts(passed=7, failed=1, expected_failure=1),
            "value": counts(passed=589, unexpected_pass=11),
        },
        findings=[*findings, strict],
        accumulation="float16",
        declared=DECLARED
        | {
            "dtypes": ["float32", "float16", "bfloat16"],
            "strides_with_dilation": True,
            "accumulation": "float16",
            "algorithm": "winograd",
            "deterministic": False,
            "flushes_subnormals": True,
        },
        capabilities=probes,
        area={"claimed": 72, "total": 96, "missing": ["dtype float64"]},
        notes=[
            "Not claimed, but works on the smallest case: dtype float64.",
            "Its process kept memory: it grew by 2 GiB and was started anew 2 times.",
        ],
    )
    return replace(result, **changes)


def compatibility() -> Report:
    """Fourteen implementations, all checks, and a witness."""
    names = [
        *(f"keras-{b}" for b in ("tensorflow-graph", "tensorflow-xla", "jax", "torch", "openvino")),
        *("torch", "jax", "onnxruntime", "openvino", "litert", "scipy", "scipy-fft", "reference"),
        "my_package.convolutions.fast:conv2d_winograd",
    ]
    results = []
    for number, name in enumerate(names):
        make = (conforming, failing, claiming, conforming)[number % 4]
        part = ("float16", "bfloat16")[: number % 3]
        lacking = dict.fromkeys((f"dtype_{dtype}" for dtype in part), "not on this device")
        checks = {
            check: counts(
                passed=1455 - 30 * number - 7 * row,
                failed=(number * row) % 5 if make is failing else 0,
                crashed=3 if make is failing and row == 4 else 0,
                unsupported=120 if part and row < 8 else 0,
            )
            for row, check in enumerate(RULES)
            if make is not failing or row not in (1, 9)
        }
        result = make(name, checks=checks, version=f"Library {number}.2.0, NumPy 2.3.1")
        if make is conforming and number:
            claimed = tuple(n for n in NEEDS[:-1] if n.removeprefix("dtype ") not in part)
            result = replace(
                result,
                capabilities=capabilities(claimed, strides_with_dilation="refused", **lacking),
            )
        results.append(result)
    witness = conforming(checks={check: counts(passed=78) for check in RULES}, capabilities=[])
    return report(*results, witness=witness, rules=RULES)


def inconclusive(name: str = "empty:conv2d") -> ImplementationResult:
    """A run that decided nothing."""
    return conforming(
        name=name,
        version="",
        verdict=Verdict.INCONCLUSIVE,
        configurations=3,
        cases=9,
        checks={check: counts(unsupported=9) for check in CHECKS},
        unsupported=[
            Unsupported(reason="not written yet", count=9, example="in1x1x1x1-f1-k1-integers.0")
        ],
        coverage={},
        classes={},
        ratios={},
        interrupted=True,
    )


def report(*implementations: ImplementationResult, **changes: Any) -> Report:
    """A report about `implementations`."""
    whole = Report(
        environment={
            "python": "3.11.7",
            "numpy": "2.3.1",
            "keras": "3.15.1",
            "tensorflow": "2.21.0",
            "machine": "x86_64, 8 CPUs, Linux 6.1",
        },
        settings={
            "seed": 0,
            "examples": 200,
            "max_time": None,
            "command": "conv2d-conformance run --impl mylib:conv2d --examples 200 --seed 0",
        },
        rules={"output_shape": "A call returns an array of the right shape."},
        headline=[
            f"{len(implementations)} measured.",
            "Judged by the reference, which agrees with real Keras on all of 600 cases.",
        ],
        implementations=list(implementations),
        run={"started": "2025-11-22T12:00:00+00:00", "seconds": 83.4, "jobs": 8},
    )
    return replace(whole, **changes)
