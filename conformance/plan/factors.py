"""Factors, their levels, and which levels go together.

A *factor* is something in which cases vary; a *level* is a class of its values. A *row* fixes one
level a factor (see `rows`). Factors that are `joint` meet one another in every pair and every
triple of levels, the others in every pair: that is what `design` sees to and what `coverage`
recounts. No three joint factors have more than 300 combinations of levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.axes import AsList, letters
from conformance.case import Case
from reference_impl.activations import ACTIVATIONS, ALIASES
from reference_impl.geometry import Pair, effective_size

Values = tuple[Any, ...]

# `threshold` cannot be an activation: it needs two more arguments.
OTHER_ACTIVATIONS = tuple(sorted({*ACTIVATIONS, *ALIASES} - {"linear", "relu", "threshold"}))


# Values that are decided alike, and layouts that cost an implementation the same, share a level.
DATA: dict[str, Values] = {
    "normal": ("normal", "zeros", "subnormal"),
    "cancelling": ("cancelling", "special", "knees"),
    "wide": ("wide", "tiny", "huge", "masked", "uneven"),
}
_IN_ONE_PIECE = (None, "readonly", "unaligned", "relaxed")
INPUT_MEMORY: dict[str, Values] = {
    "contiguous": _IN_ONE_PIECE,
    "sliced": ("sliced", "cropped", "split", "broadcast"),
    "transposed": ("transposed", "permuted"),
    "reversed": ("reversed",),
}
KERNEL_MEMORY: dict[str, Values] = {
    "contiguous": _IN_ONE_PIECE,
    "oihw": ("oihw", "fortran"),
    "sliced": ("sliced", "cropped", "split", "broadcast"),
    "reversed": ("reversed",),
}
BIAS_MEMORY: dict[str, Values] = {
    "contiguous": _IN_ONE_PIECE,
    "sliced": ("sliced", "broadcast"),
    "reversed": ("reversed",),
}


def _level_of(field: str, levels: dict[str, Values]) -> Callable[[Case], str | None]:
    names = {value: name for name, values in levels.items() for value in values}
    return lambda case: names.get(getattr(case, field))


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One row of the table.

    Attributes:
        name: of the factor.
        levels: name of each level and the values it stands for, the simplest first.
        of: the level of a case, None where the factor does not matter for it.
        joint: whether it meets the other joint factors in triples, not in pairs only.
        apart: factors that have no level in a case that shows this one.
        only: ``function`` or ``layer`` where the other kind of implementation does not see it.
    """

    name: str
    levels: dict[str, Values]
    of: Callable[[Case], str | None]
    joint: bool = True
    apart: tuple[str, ...] = ()
    only: str = ""


def _kernel(case: Case) -> str:
    h, w = case.geometry.kernel_size
    if h == w:
        return f"{h}x{w}" if h in (1, 3) else ("odd square" if h % 2 else "even square")
    if min(h, w) == 1:
        return "row" if h == 1 else "column"
    return "wide" if h < w else "tall"


def steps_level(pair: Pair) -> str:
    h, w = pair
    if h == w:
        return str(h) if h <= 2 else "above 2"
    return "h > w" if h > w else "h < w"


def _padding(case: Case) -> str:
    if case.geometry.padding == "valid":
        return "valid"
    (top, bottom), (left, right) = case.geometry.pads
    return _parity(top + bottom, left + right)


def _parity(height: int, width: int) -> str:
    """Which of the totals of ``same`` are odd: then one side gets a row or column more."""
    odd = [axis for axis, total in (("h", height), ("w", width)) if total % 2]
    return f"same, odd {' and '.join(odd)}" if odd else "same, even"


def groups_level(case: Case) -> str:
    """The level of how channels are grouped."""
    groups, channels = case.geometry.groups, case.geometry.channels
    if groups == 1:
        return "1"
    if groups == channels:
        return "depthwise" if case.filters == channels else "multiplier"
    return "few" if groups < 5 else "many"


def _count(number: int) -> str:
    """How many channels or filters, seen as engines pack them."""
    if number <= 3:
        return "1" if number == 1 else "2 or 3"
    return "other" if number % 4 else "multiple of 4"


def _shape(case: Case) -> str:
    h, w = case.geometry.output
    if h == w:
        return "square"
    if min(h, w) == 1:
        return "one row" if h == 1 else "one column"
    return "tall" if h > w else "wide"


def _extent(case: Case) -> str:
    largest = max(case.geometry.output)
    return next(name for name, sizes in _EXTENTS.items() if largest <= sizes[-1] or sizes == _LAST)


def _activation(case: Case) -> str:
    name = case.activation or "linear"
    return name if name in ("linear", "relu") else "other"


def _batch(case: Case) -> str | None:
    batch = case.geometry.batch
    if batch == 0:
        return None  # without samples nothing is seen of the other levels
    return "1" if batch == 1 else ("2 to 4" if batch < 5 else "5 or more")


def _spelling(field: str) -> Callable[[Case], str]:
    def of(case: Case) -> str:
        value = getattr(case, field)
        if value is None or isinstance(value, int):
            return "shortest"
        return "list" if isinstance(value, AsList) else "tuple"

    return of


# What Keras fills in for an argument that is not passed.
DEFAULTS: dict[str, Any] = {
    "padding": "valid",
    "data_format": "channels_last",
    "groups": 1,
    "use_bias": True,
    "dtype": "float32",
}


def _defaults(case: Case) -> str | None:
    given = [getattr(case, name) for name in DEFAULTS]
    left_out = None in given
    passed = any(map(_is, given, DEFAULTS.values()))
    if left_out == passed:
        return None
    return "left out" if left_out else "passed"


def _is(given: Any, value: Any) -> bool:
    return bool((given.lower() if isinstance(given, str) else given) == value)


def _pairs(*pairs: Pair) -> tuple[Pair, ...]:
    return pairs


def _swapped(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    return tuple((b, a) for a, b in pairs)


_ROWS = _pairs((1, 2), (1, 3), (1, 5), (1, 7))
_WIDE = _pairs((2, 3), (3, 4), (2, 4), (3, 5), (2, 5))
_UNEQUAL_STRIDES = _pairs((2, 1), (3, 1), (3, 2), (4, 1))
_UNEQUAL_DILATIONS = _pairs((2, 1), (3, 1), (3, 2), (4, 3))
_COUNTS: dict[str, Values] = {
    "1": (1,),
    "2 or 3": (2, 3),
    "multiple of 4": (4, 8, 12, 16, 20, 24, 32),
    "other": (5, 6, 7, 9, 10, 14, 15, 17, 18, 21, 33),
}
_EXTENTS: dict[str, Values] = {
    "to 3": (1, 2, 3),
    "4 to 8": (4, 5, 6, 7, 8),
    "9 to 17": (9, 11, 13, 15, 16, 17),
    "above 17": (18, 21, 24, 31, 32, 33, 34),
}
_LAST = _EXTENTS["above 17"]
_FORMS: dict[str, Values] = {"shortest": (0,), "tuple": (1,), "list": (2,)}


FACTORS: tuple[Factor, ...] = (
    Factor(
        name="kernel",
        levels={
            "1x1": _pairs((1, 1)),
            "3x3": _pairs((3, 3)),
            "even square": _pairs((2, 2), (4, 4), (6, 6)),
            "odd square": _pairs((5, 5), (7, 7)),
            "row": _ROWS,
            "column": _swapped(_ROWS),
            "wide": _WIDE,
            "tall": _swapped(_WIDE),
        },
        of=_kernel,
    ),
    Factor(
        name="strides",
        levels={
            "1": _pairs((1, 1)),
            "2": _pairs((2, 2)),
            "above 2": _pairs((3, 3), (4, 4), (5, 5)),
            "h > w": _UNEQUAL_STRIDES,
            "h < w": _swapped(_UNEQUAL_STRIDES),
        },
        of=lambda case: steps_level(case.geometry.strides),
    ),
    Factor(
        name="dilation",
        levels={
            "1": _pairs((1, 1)),
            "2": _pairs((2, 2)),
            "above 2": _pairs((3, 3), (4, 4)),
            "h > w": _UNEQUAL_DILATIONS,
            "h < w": _swapped(_UNEQUAL_DILATIONS),
        },
        of=lambda case: steps_level(case.geometry.dilation_rate),
    ),
    Factor(
        name="padding",
        levels={
            "valid": ("valid",),
            **{_parity(h, w): ("same",) for w, h in product((0, 1), repeat=2)},
        },
        of=_padding,
    ),
    Factor(
        name="groups",
        levels={"1": (), "few": (), "many": (), "depthwise": (), "multiplier": ()},
        of=groups_level,
    ),
    Factor(name="channels", levels=_COUNTS, of=lambda case: _count(case.geometry.channels)),
    Factor(name="filters", levels=_COUNTS, of=lambda case: _count(case.filters)),
    Factor(
        name="shape",
        levels={"square": (), "tall": (), "wide": (), "one row": (), "one column": ()},
        of=_shape,
    ),
    Factor(name="extent", levels=_EXTENTS, of=_extent),
    Factor(
        name="batch",
        levels={"1": (1,), "2 to 4": (2, 3, 4), "5 or more": (5, 7, 8, 9)},
        of=_batch,
    ),
    Factor(
        name="data_format",
        levels={"channels_last": ("channels_last",), "channels_first": ("channels_first",)},
        of=lambda case: case.geometry.data_format,
    ),
    Factor(
        name="bias",
        levels={"with": (True,), "without": (False,)},
        of=lambda case: "with" if case.has_bias else "without",
    ),
    Factor(
        name="dtype",
        levels={name: (name,) for name in ("float32", "float16", "bfloat16", "float64")},
        of=lambda case: case.compute_dtype,
    ),
    Factor(
        name="mixed precision",
        levels={"no": ("",), "yes": ("mixed_",)},
        of=lambda case: "yes" if (case.dtype or "").startswith("mixed_") else "no",
        joint=False,
        only="layer",
    ),
    Factor(
        name="activation",
        levels={"linear": (None, "linear"), "relu": ("relu",), "other": OTHER_ACTIVATIONS},
        of=_activation,
        joint=False,
        only="layer",
    ),
    Factor(
        name="data",
        levels=DATA,
        of=_level_of("data", DATA),
        joint=False,
    ),
    Factor(
        name="an empty batch",
        levels={"no": (False,), "yes": (True,)},
        of=lambda case: "no" if case.geometry.batch else "yes",
        joint=False,
        apart=("batch", "data"),
    ),
    Factor(
        name="memory of the input",
        levels=INPUT_MEMORY,
        of=_level_of("view", INPUT_MEMORY),
        joint=False,
    ),
    Factor(
        name="memory of the kernel",
        levels=KERNEL_MEMORY,
        of=_level_of("kernel_view", KERNEL_MEMORY),
        joint=False,
        only="function",
    ),
    Factor(
        name="memory of the bias",
        levels=BIAS_MEMORY,
        of=_level_of("bias_view", BIAS_MEMORY),
        joint=False,
        only="function",
    ),
    *(
        Factor(
            name=f"spelling of {field}",
            levels=_FORMS,
            of=_spelling(field),
            joint=False,
            only="layer",
        )
        for field in ("kernel_size", "strides", "dilation_rate")
    ),
    Factor(
        name="defaults",
        levels={"left out": (False,), "passed": (True,)},
        of=_defaults,
        joint=False,
        only="layer",
    ),
    Factor(
        name="letters of padding",
        levels={"lower": (str.lower,), "upper": (str.upper,), "title": (str.title,)},
        of=letters,
        joint=False,
        only="layer",
    ),
)

NUMBER = {factor.name: number for number, factor in enumerate(FACTORS)}
SIZES = tuple(len(factor.levels) for factor in FACTORS)
JOINT = tuple(number for number, factor in enumerate(FACTORS) if factor.joint)

Row = tuple[int, ...]  # number of the level of each factor


def row_of(case: Case) -> Row:
    """The number of the level that `case` has of each factor, -1 where it has none."""
    return tuple([numbers[of(case)] for of, numbers in _NUMBERED])


def rows_of(cases: Iterable[Case]) -> NDArray[np.intp]:
    """The rows of some cases."""
    return np.array([row_of(case) for case in cases], np.intp).reshape(-1, len(FACTORS))


_NUMBERED = [
    (factor.of, {name: number for number, name in enumerate(factor.levels)} | {None: -1})
    for factor in FACTORS
]


@dataclass(frozen=True, slots=True)
class Geometric:
    """Concrete values that have the levels of kernel, strides, dilation and padding.

    Attributes:
        kernel_size, strides, dilation_rate: pairs.
        padding: ``valid`` or ``same``.
        rests: what may be left beyond the last whole stride, for height and width; for ``same`` it
            decides the parity of the total.
    """

    kernel_size: Pair
    strides: Pair
    dilation_rate: Pair
    padding: str
    rests: tuple[tuple[int, ...], tuple[int, ...]]


def geometric(
    kernel: Sequence[Pair], strides: Sequence[Pair], dilation: Sequence[Pair], padding: str
) -> list[Geometric]:
    """All values that have the level `padding`, from the given kernels, strides and dilations.

    Strides and dilations above 1 go together only where the caller gives them so.
    """
    found = []
    for k, s, d in product(kernel, strides, dilation):
        rests = [
            _rests(effective_size(k[axis], d[axis]), s[axis], _wanted(padding, "hw"[axis]))
            for axis in (0, 1)
        ]
        if all(rests):
            mode = "valid" if padding == "valid" else "same"
            found.append(Geometric(k, s, d, mode, (rests[0], rests[1])))
    return found


def _wanted(padding: str, axis: str) -> int | None:
    """Parity of the total of ``same`` along an axis, None for ``valid``."""
    return None if padding == "valid" else int(axis in padding.removeprefix("same, ").split())


def _rests(extent: int, stride: int, parity: int | None) -> tuple[int, ...]:
    """How many of the last stride's pixels the input has, 0 to stride - 1 beyond the least."""
    if parity is None:
        return tuple(range(stride))
    return tuple(r for r in range(stride) if max(extent - (r + 1), 0) % 2 == parity)


@dataclass(frozen=True, slots=True)
class Counts:
    """Concrete numbers that have the levels of groups, channels and filters."""

    groups: int
    channels: int
    filters: int


@cache
def counts(groups: str, channels: str, filters: str) -> tuple[Counts, ...]:
    """All numbers of three levels, the cheapest first."""
    found = []
    for c, f in product(_COUNTS[channels], _COUNTS[filters]):
        for g in range(1, min(c, f) + 1):
            if c % g or f % g:
                continue
            kind = "1" if g == 1 else "few" if g < 5 else "many"
            if g == c > 1:
                kind = "depthwise" if f == c else "multiplier"
            if kind == groups:
                found.append(Counts(g, c, f))
    return tuple(sorted(found, key=lambda n: n.channels * n.filters // n.groups))


@dataclass(frozen=True, slots=True, eq=False)
class Constraint:
    """Which levels of some factors go together: `allowed` has an axis for each of `factors`."""

    factors: tuple[int, ...]
    allowed: NDArray[np.bool_]

    def leaves(self, levels: Sequence[Sequence[int]]) -> bool:
        """Whether some of these levels, given for each of the factors, go together."""
        return bool(self.allowed[np.ix_(*levels)].any())

    def onto(self, factors: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """What it says of some factors, with an axis for each; None where it says nothing."""
        common = [f for f in factors if f in self.factors]
        if not common:
            return None
        others = tuple(axis for axis, f in enumerate(self.factors) if f not in common)
        kept: NDArray[np.bool_] = np.asarray(self.allowed.any(axis=others))
        order = [f for f in self.factors if f in common]
        moved = kept.transpose([order.index(f) for f in common])
        shape = [SIZES[f] if f in common else 1 for f in factors]
        return moved.reshape(shape)


def _constraint(names: Sequence[str], allowed: Callable[..., bool]) -> Constraint:
    """The constraint that `allowed` is, for names of levels."""
    numbers = tuple(NUMBER[name] for name in names)
    table = [
        bool(allowed(*levels)) for levels in product(*(list(FACTORS[n].levels) for n in numbers))
    ]
    return Constraint(numbers, np.array(table).reshape([SIZES[n] for n in numbers]))


def level_values(factor: str, level: str) -> Values:
    """The values of a level."""
    return FACTORS[NUMBER[factor]].levels[level]


@cache
def constraints(*, both: bool = False) -> tuple[Constraint, ...]:
    """Everything that keeps levels apart; with `both`, strides and dilation may both exceed 1."""

    def fits(kernel: str, strides: str, dilation: str, padding: str) -> bool:
        if not both and strides != "1" and dilation != "1":
            return False
        given = (("kernel", kernel), ("strides", strides), ("dilation", dilation))
        k, s, d = (level_values(*level) for level in given)
        return bool(geometric(k, s, d, padding))

    def short(level: str, form: str) -> bool:
        return form != "shortest" or level not in (
            "row",
            "column",
            "wide",
            "tall",
            "h > w",
            "h < w",
        )

    return (
        _constraint(("kernel", "strides", "dilation", "padding"), fits),
        _constraint(
            ("groups", "channels", "filters"),
            lambda groups, channels, filters: bool(counts(groups, channels, filters)),
        ),
        _constraint(
            ("dtype", "mixed precision"),
            lambda dtype, mixed: mixed == "no" or dtype in ("float16", "bfloat16"),
        ),
        _constraint(("bias", "memory of the bias"), lambda b, m: b == "with" or m == "contiguous"),
        _constraint(
            ("padding", "defaults", "letters of padding"),
            lambda p, d, letters: (p, d) != ("valid", "left out") or letters == "lower",
        ),
        _constraint(("kernel", "spelling of kernel_size"), short),
        _constraint(("strides", "spelling of strides"), short),
        _constraint(("dilation", "spelling of dilation_rate"), short),
    )
