"""Beside the smallest failing case stands one on which a pattern shows, and its picture is true."""

from __future__ import annotations

import planted
import pytest

from conformance.campaign.run import Settings, run
from conformance.case import Case
from conformance.data import arrays
from conformance.plan.growing import MOST_INPUT, grown
from conformance.results import Evidence, Finding
from conformance.targets import Target


def findings(attribute: str) -> list[Finding]:
    target = Target(f"planted:{attribute}")
    settings = Settings(implementations=(target,), examples=40, jobs=1, witness=False)
    (result,) = run(settings).report.implementations
    return [finding for finding in result.findings if finding.larger_case]


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("in1x1x1x1-f1-k1-integers.0", "in1x5x5x1-f1-k1-small.0"),
        ("in1x3x3x1-f1-k3-normal.0", "in1x7x7x1-f1-k3-normal.0"),
        ("in1x1x2x1-f1-k2-s2-same-normal.0", "in1x9x10x1-f1-k2-s2-same-normal.0"),
        ("in2x3x1x1-f3-k2-g3-same-cf-normal.0", "in2x3x5x5-f3-k2-same-g3-cf-normal.0"),
        ("in1x3x1x1-f1-k1-cf-normal.0", "in1x3x5x5-f1-k1-cf-normal.0"),
        ("in1x1x1x1-f1-k3-s9-same-normal.0", "in1x10x10x1-f1-k3-s9-same-normal.0"),
        ("in1x8x9x1-f1-k3-integers.0", None),
        ("in0x1x1x1-f1-k1-integers.0", None),
        ("in1x11x11x1-f1-k11-integers.0", None),
    ],
)
def test_the_output_is_of_about_five_by_five(small: str, large: str | None):
    found = grown(Case.parse(small))
    assert (str(found[0]) if found else None) == large


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [3, 4, 5])
def test_what_is_left_beyond_the_last_stride_stays(padding: str, strides: int, size: int):
    case = Case.parse(f"in1x{size}x{size}x1-f1-k3-s{strides}-{padding}-normal.0")
    pads = [sum(around) % 2 for around in case.geometry.pads]
    for one in grown(case)[:1]:
        assert max(one.geometry.size) <= MOST_INPUT
        if padding == "same" and max(one.geometry.output) == 5:
            assert [sum(around) % 2 for around in one.geometry.pads] == pads


def test_a_picture_has_what_was_returned_and_what_it_comes_of():
    found = findings("swapped_dilation")
    assert {"exact_values", "output_shape"} <= {finding.check for finding in found}
    for finding in found:
        if finding.check == "output_shape":
            continue
        case, shown = Case.parse(finding.larger_case), finding.larger
        assert isinstance(shown, Evidence)
        data = arrays(case)
        got = planted.swapped_dilation(data.x, data.kernel, data.bias, **case.function_arguments())
        n, row, column, f = shown.element or ()
        assert shown.got == got[n, ..., f].tolist()
        assert shown.input == data.x[n, ..., 0].tolist()
        assert shown.kernel == data.kernel[..., 0, f].tolist()
        assert (row, column) in shown.wrong


def test_a_picture_of_a_wrong_shape_has_both_shapes():
    (finding,) = (f for f in findings("swapped_dilation") if f.check == "output_shape")
    case, shown = Case.parse(finding.larger_case), finding.larger
    assert isinstance(shown, Evidence)
    data = arrays(case)
    got = planted.swapped_dilation(data.x, data.kernel, data.bias, **case.function_arguments())
    assert shown.got == got[0, ..., 0].tolist()
    assert shown.expected is not None
    assert (len(shown.expected), len(shown.expected[0])) == case.geometry.output != got.shape[1:3]
    assert not shown.wrong
    assert shown.shows_what_is_wrong
    assert shown.input == data.x[0, ..., 0].tolist()


def test_what_the_first_wrong_value_reads_gives_what_is_expected():
    exact = [f for f in findings("swapped_dilation") if f.check == "exact_values"]
    assert exact
    for finding in exact:
        shown = finding.larger
        assert isinstance(shown, Evidence)
        assert shown.reads is not None
        assert shown.input is not None
        assert shown.kernel is not None
        assert shown.expected is not None
        assert shown.got is not None
        rows, columns = shown.reads
        total = shown.bias or 0.0
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                inside = 0 <= row < len(shown.input) and 0 <= column < len(shown.input[0])
                value = shown.input[row][column] if inside else 0.0
                total += (value or 0.0) * (shown.kernel[i][j] or 0.0)
        row, column = shown.wrong[0]
        assert total == shown.expected[row][column] != shown.got[row][column]
        differing = [
            (r, c)
            for r, line in enumerate(shown.expected)
            for c, value in enumerate(line)
            if value != shown.got[r][c]
        ]
        assert shown.wrong == differing
