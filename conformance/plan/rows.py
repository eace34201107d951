"""From a row of levels to an example: concrete values, two or three inputs, perhaps a sibling.

Every choice is made by a `Pick`, so that a random generator and a Hypothesis strategy serve alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby
from typing import Any, TypeVar

from conformance.axes import AsList, Written
from conformance.case import Case
from conformance.plan.factors import (
    DATA,
    DEFAULTS,
    FACTORS,
    OTHER_ACTIVATIONS,
    Geometric,
    Row,
    counts,
    geometric,
    level_values,
)
from conformance.plan.popular import Popular
from reference_impl.geometry import Pair, effective_size

Example = tuple[Case, ...]
T = TypeVar("T")
Pick = Callable[[Sequence[T]], T]

ONE = (1, 1)
MOST_WORK = 400_000  # products of one call
MOST_ELEMENTS = 60_000  # of one input
SEEDS = range(2**16)
BATCHES = (1, 2, 3, 5, 8)
SIZES = range(1, 13)


def example(
    row: Row,
    pick: Pick[Any],
    *,
    popular: Popular | None = None,
    sibling: str = "",
) -> Example:
    """One layer configuration with two or three inputs, perhaps followed by a sibling.

    The first input is of integers. Another one may follow it at once for the same weights: mostly
    of another batch, height and width, else as large, with one weight changed. Then comes an input
    as large as the first, of the kind that the row says, and an empty batch where it says so. A
    sibling differs from the configuration in one argument. So what is remembered under too little,
    be it of arguments, sizes or weights, is met.
    """
    names = {factor.name: list(factor.levels)[n] for factor, n in zip(FACTORS, row, strict=True)}
    first = _first_case(names, pick, popular)
    cases = [first]
    if pick((True, False)):
        weights, changed = 2 * first.seed, pick(range(4)) == 0
        again = first if changed else _resized(first, pick)
        cases = [
            replace(first, weights=weights),
            replace(again, weights=weights + changed, seed=first.seed + 2),
        ]
    cases.append(replace(first, data=pick(DATA[names["data"]]), seed=first.seed + 1))
    (empty,) = level_values("an empty batch", names["an empty batch"])
    if empty:
        shape = (0, *first.input_shape[1:])
        cases.append(replace(first, input_shape=shape, seed=first.seed + 3))
    if sibling:
        cases += [other] if (other := _SIBLINGS[sibling](first)) else []
    return tuple(cases)


def configurations(example: Example) -> list[Example]:
    """The cases of an example, split where another layer begins."""
    return [tuple(cases) for _, cases in groupby(example, key=Case.layer_key)]


def _first_case(names: dict[str, str], pick: Pick[Any], popular: Popular | None) -> Case:
    shape = _geometric(names, popular, pick)
    sizes: list[list[Any]] = [
        list(counts(names["groups"], names["channels"], names["filters"])),
        list(_outputs(names["shape"], names["extent"])),
        list(level_values("batch", names["batch"])),
    ]
    chosen = [pick(range(len(values))) for values in sizes]
    rests = tuple(pick(rests) for rests in shape.rests)

    def cost() -> float:
        count, output, batch = (values[n] for values, n in zip(sizes, chosen, strict=True))
        products = shape.kernel_size[0] * shape.kernel_size[1] * count.channels // count.groups
        h, w = _input_size(shape, output, rests)
        work = output[0] * output[1] * batch * count.filters * products / MOST_WORK
        return float(max(work, h * w * batch * count.channels / MOST_ELEMENTS))

    while cost() > 1 and any(chosen):
        chosen[max(range(3), key=lambda n: chosen[n] / len(sizes[n]))] -= 1
    count, output, batch = (values[n] for values, n in zip(sizes, chosen, strict=True))
    h, w = _input_size(shape, output, rests)
    first_format = names["data_format"] == "channels_first"
    passed = names["defaults"] == "passed"
    bias = names["bias"] == "with"
    given: dict[str, Any] = {
        "padding": shape.padding,
        "data_format": names["data_format"],
        "groups": count.groups,
        "use_bias": bias,
        "dtype": level_values("mixed precision", names["mixed precision"])[0] + names["dtype"],
    }
    for name, value in DEFAULTS.items():
        if given[name] == value and not passed:
            given[name] = None
    if given["padding"]:
        (letters,) = level_values("letters of padding", names["letters of padding"])
        given["padding"] = letters(given["padding"])
    forms = {
        field: level_values(f"spelling of {field}", names[f"spelling of {field}"])[0]
        for field in ("kernel_size", "strides", "dilation_rate")
    }
    return Case(
        input_shape=(
            (batch, count.channels, h, w) if first_format else (batch, h, w, count.channels)
        ),
        filters=count.filters,
        kernel_size=_written(shape.kernel_size, forms["kernel_size"]),
        strides=_written_or_left(shape.strides, forms["strides"], passed),
        dilation_rate=_written_or_left(shape.dilation_rate, forms["dilation_rate"], passed),
        activation=_activation(names["activation"], pick, glu=_last_axis(count, output, names)),
        view=pick(level_values("memory of the input", names["memory of the input"])),
        kernel_view=pick(level_values("memory of the kernel", names["memory of the kernel"])),
        bias_view=(
            pick(level_values("memory of the bias", names["memory of the bias"])) if bias else None
        ),
        data="integers",
        seed=pick(SEEDS),
        **given,
    )


def _geometric(names: dict[str, str], popular: Popular | None, pick: Pick[Any]) -> Geometric:
    if popular is None:
        values = (names[f] for f in ("kernel", "strides", "dilation", "padding"))
        found: Geometric = pick(_every_geometric(*values))
        return found
    (only,) = geometric(
        [popular.kernel_size], [popular.strides], [popular.dilation_rate], names["padding"]
    )
    return only


@cache
def _every_geometric(
    kernel: str, strides: str, dilation: str, padding: str
) -> tuple[Geometric, ...]:
    return tuple(
        geometric(
            level_values("kernel", kernel),
            level_values("strides", strides),
            level_values("dilation", dilation),
            padding,
        )
    )


@cache
def _outputs(shape: str, extent: str) -> tuple[Pair, ...]:
    """All output sizes of two levels, the smallest first."""
    sizes = level_values("extent", extent)
    if shape == "square":
        found = [(m, m) for m in sizes]
    elif shape in ("one row", "one column"):
        found = [(1, m) for m in sizes if m > 1]
    else:
        found = [(n, m) for m in sizes for n in sorted({2, m // 2, m - 1}) if 1 < n < m]
    if shape in ("tall", "one column"):
        found = [(b, a) for a, b in found]
    return tuple(sorted(found, key=lambda p: (p[0] * p[1], p)))


def _input_size(shape: Geometric, output: Pair, rests: Sequence[int]) -> Pair:
    h, w = (
        (out - 1) * s + (effective_size(k, d) + rest if shape.padding == "valid" else 1 + rest)
        for out, s, k, d, rest in zip(
            output, shape.strides, shape.kernel_size, shape.dilation_rate, rests, strict=True
        )
    )
    return h, w


def _last_axis(count: Any, output: Pair, names: dict[str, str]) -> int:
    return output[1] if names["data_format"] == "channels_first" else count.filters


def _activation(level: str, pick: Pick[Any], glu: int) -> str | None:
    """One of a level; glu halves the last axis, of `glu` elements."""
    values = level_values("activation", level)
    if level == "other" and glu % 2:
        values = tuple(name for name in OTHER_ACTIVATIONS if name != "glu")
    chosen: str | None = pick(values)
    return chosen


def _written(pair: Pair, form: int) -> Written:
    """`pair` as a caller may write it: 0 shortest, 1 as a tuple, 2 as a list."""
    if form == 0:
        return pair[0] if pair[0] == pair[1] else pair
    return AsList(pair) if form == 2 else pair


def _written_or_left(pair: Pair, form: int, passed: bool) -> Written | None:
    """As `_written`, but the shortest way to write the default is not to."""
    return None if form == 0 and pair == ONE and not passed else _written(pair, form)


def _resized(case: Case, pick: Pick[Any]) -> Case:
    """With another batch, height and width, an ordinary view."""
    g = case.geometry
    extents = [effective_size(k, d) for k, d in zip(g.kernel_size, g.dilation_rate, strict=True)]
    h, w = (pick(SIZES) + (0 if g.padding == "same" else extent - 1) for extent in extents)
    batch = pick(BATCHES)
    if case.activation == "glu" and g.data_format == "channels_first":
        w = g.size[1]
    shape = (
        (batch, g.channels, h, w)
        if g.data_format == "channels_first"
        else (batch, h, w, g.channels)
    )
    return replace(case, input_shape=shape, view=None)


def _fits(case: Case) -> bool:
    """Whether the kernel fits into the input without padding."""
    g = case.geometry
    return all(
        effective_size(k, d) <= n
        for n, k, d in zip(g.size, g.kernel_size, g.dilation_rate, strict=True)
    )


def _other_padding(case: Case) -> Case | None:
    if case.geometry.padding == "valid":
        return replace(case, padding="same")
    return replace(case, padding="valid") if _fits(case) else None


def _other_bias(case: Case) -> Case | None:
    return replace(case, use_bias=not case.has_bias, bias_view=None)


def _swapped(case: Case) -> Case | None:
    """Strides and dilation_rate swapped between the axes; `same` keeps that valid."""
    g = case.geometry
    if g.strides[0] == g.strides[1] and g.dilation_rate[0] == g.dilation_rate[1]:
        return None
    return replace(
        case, padding="same", strides=g.strides[::-1], dilation_rate=g.dilation_rate[::-1]
    )


def _other_strides(case: Case) -> Case | None:
    if case.geometry.strides != ONE:
        return replace(case, strides=1)
    return replace(case, strides=2) if case.geometry.dilation_rate == ONE else None


def _other_dilation(case: Case) -> Case | None:
    if case.geometry.dilation_rate != ONE:
        return replace(case, dilation_rate=1)
    if case.geometry.strides != ONE or case.geometry.kernel_size == ONE:
        return None
    return replace(case, dilation_rate=2, padding="same")


def _transposed_kernel(case: Case) -> Case | None:
    h, w = case.geometry.kernel_size
    return replace(case, kernel_size=(w, h), padding="same") if h != w else None


def _other_groups(case: Case) -> Case | None:
    """In one group, or depthwise where as many filters as channels allow it."""
    g = case.geometry
    if g.groups > 1:
        return replace(case, groups=None)
    together = math.gcd(g.channels, case.filters)
    return replace(case, groups=together) if together > 1 else None


def _other_dtype(case: Case) -> Case | None:
    dtype = "float16" if case.compute_dtype == "float32" else "float32"
    return replace(case, dtype=dtype)


def _other_activation(case: Case) -> Case | None:
    return replace(case, activation=None if case.activation else "relu")


_SIBLINGS: dict[str, Callable[[Case], Case | None]] = {
    "strides": _other_strides,
    "padding": _other_padding,
    "bias": _other_bias,
    "dilation": _other_dilation,
    "swapped": _swapped,
    "kernel": _transposed_kernel,
    "dtype": _other_dtype,
    "groups": _other_groups,
    "activation": _other_activation,
}
SIBLINGS = tuple(_SIBLINGS)
