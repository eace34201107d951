"""What is tried: Hypothesis strategies for configurations and their inputs.

Everything drawn is valid: sizes are derived from what is drawn, so nothing is filtered away. Each
axis is drawn on its own from a table, simplest entry first (Hypothesis shrinks towards it), with
few equal pairs, since equality hides swapped axes. Values are a kind and a seed, never drawn one by
one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby, product
from typing import Any

from hypothesis import strategies as st

from conformance.capabilities import EVERYTHING, Capabilities
from conformance.case import PADDINGS, VIEWS, AsList, Case, Written
from reference_impl.activations import ACTIVATIONS, ALIASES
from reference_impl.geometry import Pair, effective_size

Example = tuple[Case, ...]
ONE = (1, 1)


def _simplest_first(pairs: Iterable[tuple[int, ...]]) -> list[Pair]:
    return sorted(((a, b) for a, b in pairs), key=lambda p: (p[0] * p[1], p))


def _table(*weighted: tuple[int, Any]) -> list[Any]:
    """A table for sampled_from in which an entry with weight w stands w times."""
    return [entry for weight, entry in weighted for _ in range(weight)]


KERNELS = _simplest_first([*product(range(1, 6), repeat=2), (1, 7), (7, 2), (6, 3), (2, 8)])
_STEPS = _simplest_first(product(range(1, 5), repeat=2))[1:]
# (strides, dilation_rate): Keras refuses both above 1, so that is drawn only where it is claimed.
STEPS: list[tuple[Pair, Pair]] = [
    *[(ONE, ONE)] * 12,
    *[(pair, ONE) for pair in _STEPS],
    *[(ONE, pair) for pair in _STEPS],
]
BOTH_STEPS = [(s, d) for s in ((2, 1), (1, 2), (2, 3)) for d in ((1, 2), (2, 1), (3, 2))]
# (groups, channels per group, filters per group): sizes just past 4, 8, 16 and 32 included.
CHANNELS: list[tuple[int, int, int]] = [
    *[(1, c, f) for c in (1, 2, 3, 5) for f in (1, 2, 3, 5, 8, 9, 17)],
    *[(1, c, f) for c in (1, 3, 4) for f in (4, 6, 7)],
    *[(1, c, f) for c in (9, 17, 33) for f in (1, 3, 5, 9)],
    *[(1, c, f) for c in (2, 3, 8) for f in (16, 33)],
    *[(1, c, f) for c in (1, 2, 3) for f in (257, 290)],
    *[(g, c, f) for g, c, f in ((2, 1, 1), (2, 1, 2), (2, 2, 3), (3, 1, 2), (3, 2, 1), (4, 3, 2))],
    *[(g, c, f) for g, c, f in ((5, 1, 1), (3, 1, 3), (2, 3, 2), (2, 9, 5))],
]
SIZES = _simplest_first(product(range(1, 9), repeat=2))
LARGE_SIZE = (97, 113)
BATCHES = _table((5, 1), (5, 2), (4, 3), (1, 5), (2, 0))
PADDING = _table((6, None), (4, "valid"), (8, "same"), (1, "SAME"), (1, "Valid"))
DATA_FORMAT = _table((14, None), (6, "channels_last"), (2, "channels_first"))
USE_BIAS = _table((4, None), (2, True), (3, False))
DTYPES = _table(
    (6, None), (4, "float32"), (3, "float64"), (3, "float16"), (3, "bfloat16"),
    (1, "mixed_float16"), (1, "mixed_bfloat16"),
)  # fmt: skip
# `threshold` cannot be an activation: it needs two more arguments.
_OTHER_ACTIVATIONS = sorted({*ACTIVATIONS, *ALIASES} - {"linear", "relu", "threshold"})
ACTIVATION = _table((80, None), (30, "relu"), (8, "linear"), *((1, n) for n in _OTHER_ACTIVATIONS))
VIEW = _table((16, None), *((1, view) for view in VIEWS))
# What the inputs of one configuration are: the kind of the second, and whether there is a third.
KINDS = ("integers", "normal", "cancelling", "wide")
INPUTS = [(kind, more) for more in (False, True) for kind in KINDS]
SIBLINGS = _table((12, None), (1, "padding"), (1, "bias"), (1, "swapped"))
FORMS = list(product(range(3), repeat=3))

_kernels = st.sampled_from(KERNELS)
_sizes = st.sampled_from(SIZES)
_large = st.sampled_from(_table((8, None), (1, LARGE_SIZE)))
_slack = st.integers(0, 15)
_shape = st.tuples(st.sampled_from(BATCHES), _sizes, _slack)
_inputs = st.sampled_from(INPUTS)
_siblings = st.sampled_from(SIBLINGS)
_forms = st.sampled_from(FORMS)
_seeds = st.integers(0, 2**16 - 1)
_batches = st.sampled_from(BATCHES)
_biases = st.sampled_from(USE_BIAS)
_activations = st.sampled_from(ACTIVATION)
_views = st.sampled_from(VIEW)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """What can be drawn for an implementation of some capabilities."""

    steps: st.SearchStrategy[tuple[Pair, Pair]]
    channels: st.SearchStrategy[tuple[int, int, int]]
    paddings: st.SearchStrategy[str | None]
    formats: st.SearchStrategy[str | None]
    dtypes: st.SearchStrategy[str | None]

    @classmethod
    @cache
    def of(cls, capabilities: Capabilities) -> _Claimed:
        steps = [s for s in STEPS if capabilities.dilation or s[1] == ONE]
        if capabilities.dilation and capabilities.strides_with_dilation:
            steps += BOTH_STEPS
        return cls(
            st.sampled_from(steps),
            st.sampled_from([c for c in CHANNELS if capabilities.groups or c[0] == 1]),
            st.sampled_from([p for p in PADDING if _mode(p) in capabilities.paddings]),
            st.sampled_from(
                [f for f in DATA_FORMAT if (f or "channels_last") in capabilities.data_formats]
            ),
            st.sampled_from([d for d in DTYPES if _compute_dtype(d) in capabilities.dtypes]),
        )


@st.composite
def examples(draw: st.DrawFn, capabilities: Capabilities = EVERYTHING) -> Example:
    """One layer configuration with two or three inputs, sometimes followed by a sibling.

    The first two inputs have the same shape and different values: the first integers, the second of
    any kind. The third has another batch, height and width. A sibling differs from the
    configuration in one argument, so that what is remembered under too few arguments is met.

    Nothing is drawn that `capabilities` do not claim; the same are drawn for equal capabilities.
    """
    claimed = _Claimed.of(capabilities)
    kernel = draw(_kernels)
    stride, dilation = draw(claimed.steps)
    groups, depth, per_group = draw(claimed.channels)
    padding = draw(claimed.paddings)
    layout = draw(claimed.formats)
    batch = draw(_batches)
    size = draw(_sizes)
    large = draw(_large)
    dtype = draw(claimed.dtypes)
    use_bias = draw(_biases)
    forms = draw(_forms)
    activation = draw(_activations)
    view = draw(_views)
    slack = draw(_slack)
    second, more = draw(_inputs)
    seed = draw(_seeds)
    if large:
        # Many elements, so that narrow offsets overflow; few products, so that it stays cheap.
        size, batch, groups, depth, per_group = (
            large,
            1,
            1,
            max(7, min(depth, 9)),
            min(per_group, 2),
        )
        kernel, second, more = (min(kernel[0], 3), min(kernel[1], 3)), "integers", False
    filters = groups * per_group
    if activation == "glu" and filters % 2:
        filters *= 2  # glu halves the last axis
    if activation == "glu" and layout == "channels_first":
        activation = None  # there the last axis is the width

    def input_shape(batch: int, size: Pair, slack: int) -> tuple[int, int, int, int]:
        mode = _mode(padding)
        extra = (slack % 4, slack // 4)
        h, w = (  # what is drawn is the input for `same`, the output for `valid`
            n if mode == "same" else (n - 1) * s + effective_size(k, d) + e % s
            for n, k, s, d, e in zip(size, kernel, stride, dilation, extra, strict=True)
        )
        channels = groups * depth
        return (batch, channels, h, w) if layout == "channels_first" else (batch, h, w, channels)

    first = Case(
        input_shape=input_shape(batch, size, slack),
        filters=filters,
        kernel_size=_written(kernel, forms[0]),
        strides=_unless_default(stride, forms[1]),
        padding=padding,
        data_format=layout,
        dilation_rate=_unless_default(dilation, forms[2]),
        groups=groups if groups > 1 or forms[0] else None,
        activation=activation,
        use_bias=use_bias,
        dtype=dtype,
        view=view,
        data="integers",
        seed=seed,
    )
    cases = [first, replace(first, data=second, seed=seed + 1)]
    if more:
        shape = input_shape(*draw(_shape))
        cases.append(replace(first, input_shape=shape, view=None, seed=seed + 2))
    sibling = draw(_siblings)
    if sibling:
        other = _SIBLINGS[sibling](first)
        cases += [other] if capabilities.covers(other) else []
    return tuple(cases)


def _compute_dtype(policy: str | None) -> str:
    return (policy or "float32").removeprefix("mixed_")


def _mode(padding: str | None) -> str:
    return (padding or "valid").lower()


def configurations(example: Example) -> list[Example]:
    """The cases of an example, split where another layer begins."""
    return [tuple(cases) for _, cases in groupby(example, key=Case.layer_key)]


def _written(pair: Pair, form: int) -> Written:
    """`pair` as a caller may write it: 0 shortest, 1 as a tuple, 2 as an int or a list."""
    if form != 1 and pair[0] == pair[1] and (form == 0 or pair == ONE):
        return pair[0]
    return AsList(pair) if form == 2 else pair


def _unless_default(pair: Pair, form: int) -> Written | None:
    """As `_written`, but the shortest way to write the default is not to."""
    return None if form == 0 and pair == ONE else _written(pair, form)


def _other_padding(case: Case) -> Case:
    """With the other padding, or with the stride dropped where the kernel needs its padding."""
    other = PADDINGS[case.padding_mode == "valid"]
    fits = all(
        effective_size(k, d) <= n
        for n, k, d in zip(case.size, case.kernel, case.dilation, strict=True)
    )
    return replace(case, padding=other) if fits else replace(case, strides=None)


def _other_bias(case: Case) -> Case:
    return replace(case, use_bias=not case.has_bias)


def _swapped(case: Case) -> Case:
    """With strides and dilation_rate swapped between the axes; ``same`` keeps that valid."""
    return replace(
        case, padding="same", strides=case.stride[::-1], dilation_rate=case.dilation[::-1]
    )


_SIBLINGS = {"padding": _other_padding, "bias": _other_bias, "swapped": _swapped}
