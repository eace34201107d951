"""What shipped convolutions went wrong on: conditions on a case, or on cases that follow another.

Each is worth meeting often; a test measures how often the plan does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from conformance.case import Case
from reference_impl.geometry import effective_size


def _any(case: Case) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Trigger:
    """A condition on a case, measured among the cases that meet `given`."""

    met: Callable[[Case], bool]
    given: Callable[[Case], bool] = _any


def _extents(case: Case) -> list[int]:
    g = case.geometry
    return [effective_size(k, d) for k, d in zip(g.kernel_size, g.dilation_rate, strict=True)]


def _totals(case: Case) -> list[int]:
    return [before + after for before, after in case.geometry.pads]


def _same(case: Case) -> bool:
    return case.geometry.padding == "same"


def _first(case: Case) -> bool:
    return case.geometry.data_format == "channels_first"


def _grouped(case: Case) -> bool:
    return case.geometry.groups > 1


def _strided(case: Case) -> bool:
    return max(case.geometry.strides) > 1


def _dilated(case: Case) -> bool:
    return max(case.geometry.dilation_rate) > 1


def _padded(case: Case) -> bool:
    return sum(_totals(case)) > 0


def _odd(case: Case) -> bool:
    return any(total % 2 for total in _totals(case))


def _differ(pair: tuple[int, int]) -> bool:
    return pair[0] != pair[1]


def _window_in_padding(case: Case) -> bool:
    """Some output element reads padding alone, along one axis."""
    g = case.geometry
    for n, k, s, d, out, (before, _) in zip(
        g.size, g.kernel_size, g.strides, g.dilation_rate, g.output, g.pads, strict=True
    ):
        if out > 1024:
            continue
        for o in range(out):
            if not any(0 <= o * s - before + i * d < n for i in range(k)):
                return True
    return False


def _padding_on_both_sides(case: Case) -> bool:
    """The kernel is larger than the input, along one axis, and reaches beyond both ends."""
    g = case.geometry
    around = zip(g.pads, _extents(case), g.size, strict=True)
    return any(min(pads) > 0 and extent > n for pads, extent, n in around)


def _has_rest(case: Case) -> bool:
    g = case.geometry
    axes = zip(g.size, _extents(case), g.strides, strict=True)
    return any((n - extent) % s for n, extent, s in axes)


def _just_past(count: int) -> bool:
    return count in (5, 9, 17, 33)


def _elements(case: Case) -> int:
    n, h, w, c = case.input_shape
    return n * h * w * c


TRIGGERS: dict[str, Trigger] = {
    "H != W": Trigger(lambda c: _differ(c.geometry.size)),
    "kh != kw": Trigger(lambda c: _differ(c.geometry.kernel_size)),
    "sh != sw": Trigger(lambda c: _differ(c.geometry.strides)),
    "dh != dw": Trigger(lambda c: _differ(c.geometry.dilation_rate)),
    "same": Trigger(_same),
    "same, odd total": Trigger(_odd, _same),
    "same, even kernel": Trigger(lambda c: any(k % 2 == 0 for k in c.geometry.kernel_size), _same),
    "same, totals differ, both even": Trigger(
        lambda c: len({*_totals(c)}) == 2 and not _odd(c), _same
    ),
    "same, kh != kw, odd total": Trigger(
        lambda c: _differ(c.geometry.kernel_size) and _odd(c), _same
    ),
    "same, strided": Trigger(_strided, _same),
    "same, dilated": Trigger(_dilated, _same),
    "same, kernel larger than the input": Trigger(
        lambda c: any(e > n for e, n in zip(_extents(c), c.geometry.size, strict=True)), _same
    ),
    "same, stride does not divide the input": Trigger(
        lambda c: any(n % s for n, s in zip(c.geometry.size, c.geometry.strides, strict=True)),
        lambda c: _same(c) and _strided(c),
    ),
    "window wholly in the padding": Trigger(_window_in_padding, _padded),
    "kernel over padding on both sides": Trigger(_padding_on_both_sides, _padded),
    "kernel smaller than the stride": Trigger(
        lambda c: any(
            k < s for k, s in zip(c.geometry.kernel_size, c.geometry.strides, strict=True)
        )
    ),
    "stride leaves a rest": Trigger(_has_rest, lambda c: not _same(c) and _strided(c)),
    "dilated": Trigger(_dilated),
    "dilation of 3 or more": Trigger(lambda c: max(c.geometry.dilation_rate) > 2),
    "groups > 1": Trigger(_grouped),
    "groups > 1, several filters a group": Trigger(
        lambda c: c.filters > c.geometry.groups, _grouped
    ),
    "groups > 1, filters != channels": Trigger(
        lambda c: c.filters != c.geometry.channels, _grouped
    ),
    "groups = channels": Trigger(lambda c: c.geometry.groups == c.geometry.channels, _grouped),
    "groups > 1, strided": Trigger(_strided, _grouped),
    "channels just past 4, 8, 16 or 32": Trigger(lambda c: _just_past(c.geometry.channels)),
    "filters just past 4, 8, 16 or 32": Trigger(lambda c: _just_past(c.filters)),
    "channels or filters above 16, no multiple": Trigger(
        lambda c: any(n > 16 and n % 16 for n in (c.geometry.channels, c.filters))
    ),
    "filters no multiple of 32": Trigger(lambda c: c.filters % 32 != 0),
    "more than 256 filters": Trigger(lambda c: c.filters > 256),
    "one channel or one sample": Trigger(
        lambda c: c.geometry.channels == 1 or c.geometry.batch == 1
    ),
    "N = 0": Trigger(lambda c: c.geometry.batch == 0),
    "N >= 2": Trigger(lambda c: c.geometry.batch >= 2),
    "asymmetric kernel": Trigger(lambda c: max(c.geometry.kernel_size) > 1),
    "bias": Trigger(lambda c: c.has_bias),
    "no bias": Trigger(lambda c: not c.has_bias),
    "bias and relu": Trigger(lambda c: c.has_bias and c.activation == "relu"),
    "channels_last, passed or not": Trigger(lambda c: not _first(c)),
    "channels_first, C != H": Trigger(
        lambda c: _first(c) and c.geometry.channels != c.geometry.size[0]
    ),
    "channels_first, output H != W": Trigger(lambda c: _differ(c.geometry.output), _first),
    "filters = output width": Trigger(lambda c: c.filters == c.geometry.output[1]),
    "input is a view": Trigger(lambda c: c.view is not None),
    "16-bit, 64 products or more": Trigger(
        lambda c: c.geometry.taps >= 64, lambda c: c.compute_dtype in ("float16", "bfloat16")
    ),
    "float32, values judged by a bound": Trigger(
        lambda c: c.data != "integers", lambda c: c.compute_dtype == "float32"
    ),
    "3x3, stride 1": Trigger(
        lambda c: (c.geometry.kernel_size, c.geometry.strides) == ((3, 3), (1, 1)),
        lambda c: not _differ(c.geometry.kernel_size),
    ),
    "more than 65536 input elements": Trigger(lambda c: _elements(c) > 2**16),
}

# Conditions on the cases that follow one another in one process.
SEQUENCES: dict[str, Callable[[Sequence[Case]], bool]] = {
    "same configuration, other values": lambda cases: any(
        a.layer_key() == b.layer_key() and a.input_shape == b.input_shape and a.seed != b.seed
        for a, b in pairwise(cases)
    ),
    "same configuration, other input size": lambda cases: any(
        a.layer_key() == b.layer_key() and a.input_shape != b.input_shape
        for a, b in pairwise(cases)
    ),
    "same input, one argument changed": lambda cases: any(
        a.layer_key() != b.layer_key() and a.input_shape == b.input_shape
        for a in cases
        for b in cases
    ),
}


def frequency(trigger: Trigger, configurations: Sequence[Sequence[Case]]) -> float:
    """Share of the configurations that meet the trigger, among those that meet `given`."""
    relevant = [cases for cases in configurations if any(map(trigger.given, cases))]
    met = sum(any(trigger.given(c) and trigger.met(c) for c in cases) for cases in relevant)
    return met / max(len(relevant), 1)
