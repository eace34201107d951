"""Reports made by hand, with everything in them that a page has to show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.results import (
    Evidence,
    Finding,
    ImplementationResult,
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


def counts(**numbers: int) -> dict[str, int]:
    """Outcomes by status, every status present."""
    return {str(status): numbers.get(status, 0) for status in Status}


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
        coverage={
            "padding": {"valid": counts(passed=310), "same": counts(passed=290)},
            "kernel_size": {f"{k}": counts(passed=20 * (9 - k)) for k in range(1, 8)},
            "dtype": {
                "float16": counts(passed=150),
                "bfloat16": counts(passed=130),
                "float32": counts(passed=220),
                "float64": counts(passed=100),
            },
            "strides": {
                "1": counts(passed=300),
                "2": counts(passed=200),
                "(1, 2)": counts(passed=100),
            },
        },
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
        coverage={
            "padding": {"valid": counts(passed=310), "same": counts(passed=256, failed=34)},
            "groups": {
                "1": counts(passed=500, failed=42, expected_failure=16),
                "2": counts(unsupported=40),
                "7": counts(),
            },
            "input height": {f"{n}": counts(passed=n) for n in range(1, 40)},
        },
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
    )
    return replace(result, **changes)


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
