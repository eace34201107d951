"""The axes along which cases differ: one row each, for whatever speaks of them.

A row says how an axis is written in a case string, what coverage shows of it, what conditions may
say of it, and what an index of vectors tells of it. `Case` has a field of the same name; its levels
stand in `conformance.plan.factors`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conformance.refusals import REFUSALS
from conformance.variations import VARIATIONS
from reference_impl.activations import ACTIVATIONS, ALIASES
from reference_impl.dtypes import FLOATS
from reference_impl.geometry import Pair

Case = Any  # a `conformance.case.Case`, which is built on this table
POLICIES = (*FLOATS, "mixed_float16", "mixed_bfloat16")
PADDINGS = ("valid", "same")
DATA_FORMATS = {"cl": "channels_last", "cf": "channels_first"}
DATA_KINDS = (
    *("integers", "normal", "cancelling", "wide", "small"),
    *("special", "tiny", "huge", "uneven", "subnormal", "zeros", "knees", "masked"),
)
# What a call may be but for which it were a plain Conv2D: see `refusals` and `variations`.
BUT = (*REFUSALS, *VARIATIONS)
VARIED = "varied"  # what coverage calls it
# How people pass arrays; see `conformance.layouts`.
_HANDED_OVER = ("readonly", "broadcast", "unaligned", "relaxed")
VIEWS = ("sliced", "cropped", "split", "transposed", "reversed", "permuted", *_HANDED_OVER)
KERNEL_VIEWS = ("oihw", "sliced", "cropped", "split", "reversed", "fortran", *_HANDED_OVER)
BIAS_VIEWS = ("sliced", "reversed", *_HANDED_OVER)


class AsList(tuple[int, ...]):
    """A pair that the caller wrote as a list; hashable, as a case must be."""

    __slots__ = ()


Written = int | tuple[int, ...]  # an int, a tuple, or an AsList


@dataclass(frozen=True, slots=True)
class Word:
    """A term of conditions that is compared with one of `allowed`."""

    read: Callable[[Case], object]
    allowed: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """A term of conditions that is compared with numbers."""

    read: Callable[[Case], int]


@dataclass(frozen=True, slots=True)
class Numbers:
    """A term of conditions with one number for the height and one for the width."""

    read: Callable[[Case], Pair]


Term = Word | Number | Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One row.

    Attributes:
        field: of `Case`.
        pattern: what its token looks like, with one group.
        read: the value that the group stands for.
        write: the token of a value.
        example: a token, where every case needs one; else empty.
        covered: what coverage counts: a name and the value shown for a case.
        terms: what conditions call it.
        told: what the index of a folder of vectors tells: a key and its value.
    """

    field: str
    pattern: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]
    example: str = ""
    covered: dict[str, Callable[[Case], str]]
    terms: dict[str, Term]
    told: dict[str, Callable[[Case], Any]]


def pair_of(value: Written | None) -> Pair:
    """The pair that an argument means; (1, 1) where it is not passed."""
    if value is None:
        return 1, 1
    if isinstance(value, int):
        return value, value
    return value[0], value[1]


def _pair_text(value: Written) -> str:
    if isinstance(value, int):
        return str(value)
    return ("," if isinstance(value, AsList) else "x").join(map(str, value))


def _read_pair(text: str) -> Written:
    if "," in text:
        return AsList(map(int, text.split(",")))
    if "x" in text:
        return tuple(map(int, text.split("x")))
    return int(text)


def _form(value: Written | None) -> str:
    if value is None:
        return "not passed"
    if isinstance(value, int):
        return "int"
    return "list" if isinstance(value, AsList) else "tuple"


def _sizes(pair: Pair) -> str:
    return f"{pair[0]}x{pair[1]}"


def _pair_axis(field: str, letter: str, term: str, *, example: str = "") -> Axis:
    """The row of an argument that is an int or a pair."""

    def pair(case: Case) -> Pair:
        found: Pair = getattr(case.geometry, field)
        return found

    return Axis(
        field=field,
        pattern=rf"{letter}({_PAIR})",
        read=_read_pair,
        write=lambda value: letter + _pair_text(value),
        example=example,
        covered={
            field: lambda c: _sizes(pair(c)),
            f"{field} written as": lambda c: _form(getattr(c, field)),
        },
        terms={term: Numbers(pair)},
        told={field: pair},
    )


def _memory_axis(field: str, prefix: str, views: tuple[str, ...], shown: str) -> Axis:
    """The row of how an array lies in memory."""
    return Axis(
        field=field,
        pattern=rf"{prefix}\.({'|'.join(views)})",
        read=str,
        write=lambda value: f"{prefix}.{value}",
        covered={shown: lambda c: getattr(c, field) or "contiguous"},
        terms={field: Word(lambda c: getattr(c, field) or "none", ("none", *views))},
        told={},
    )


_NUMBER = r"[1-9][0-9]{0,6}"
_PAIR = rf"{_NUMBER}(?:[x,]{_NUMBER})?"


# In the order of their tokens.
def letters(case: Case) -> str:
    """How `padding` is written: ``same``, ``SAME`` or ``Same``."""
    written = case.padding or "valid"
    return "lower" if written.islower() else "upper" if written.isupper() else "title"


AXES: tuple[Axis, ...] = (
    Axis(
        field="input_shape",
        pattern=rf"in([0-9]{{1,7}}(?:x{_NUMBER}){{3}})",
        read=lambda t: tuple(map(int, t.split("x"))),
        write=lambda shape: "in" + "x".join(map(str, shape)),
        example="a token such as in1x8x8x3",
        covered={
            "batch": lambda c: str(c.geometry.batch),
            "channels": lambda c: str(c.geometry.channels),
        },
        terms={
            "batch": Number(lambda c: c.geometry.batch),
            "channels": Number(lambda c: c.geometry.channels),
            "input": Numbers(lambda c: c.geometry.size),
            "output": Numbers(lambda c: c.geometry.output),
            "positions": Number(lambda c: c.geometry.output[0] * c.geometry.output[1]),
            "products": Number(lambda c: c.geometry.taps),
        },
        told={
            "input_shape": lambda c: c.input_shape,
            "kernel_shape": lambda c: c.kernel_shape,
            "output_shape": lambda c: c.geometry.output_shape,
        },
    ),
    Axis(
        field="filters",
        pattern=rf"f({_NUMBER})",
        read=int,
        write=lambda value: f"f{value}",
        example="a token such as f4",
        covered={"filters": lambda c: str(c.filters)},
        terms={"filters": Number(lambda c: c.filters)},
        told={"filters": lambda c: c.filters},
    ),
    _pair_axis("kernel_size", "k", "kernel", example="a token such as k3 or k3x2"),
    _pair_axis("strides", "s", "strides"),
    _pair_axis("dilation_rate", "d", "dilation"),
    Axis(
        field="padding",
        pattern=r"((?i:valid|same))",
        read=str,
        write=str,
        covered={"padding": lambda c: c.padding or "not passed"},
        terms={
            "padding": Word(lambda c: c.geometry.padding, PADDINGS),
            "padding_letters": Word(letters, ("lower", "upper", "title")),
            "pads": Numbers(lambda c: (sum(c.geometry.pads[0]), sum(c.geometry.pads[1]))),
        },
        told={"padding": lambda c: c.geometry.padding},
    ),
    Axis(
        field="groups",
        pattern=rf"g({_NUMBER})",
        read=int,
        write=lambda value: f"g{value}",
        covered={"groups": lambda c: str(c.geometry.groups)},
        terms={
            "groups": Number(lambda c: c.geometry.groups),
            "depth": Number(lambda c: c.geometry.channels // c.geometry.groups),
        },
        told={"groups": lambda c: c.geometry.groups},
    ),
    Axis(
        field="data_format",
        pattern="(cl|cf)",
        read=DATA_FORMATS.__getitem__,
        write=lambda value: "cl" if value == "channels_last" else "cf",
        covered={"data_format": lambda c: c.data_format or "not passed"},
        terms={"data_format": Word(lambda c: c.geometry.data_format, tuple(DATA_FORMATS.values()))},
        told={"data_format": lambda c: c.geometry.data_format},
    ),
    Axis(
        field="activation",
        pattern=rf"a\.({'|'.join((*ACTIVATIONS, *ALIASES))})",
        read=str,
        write=lambda value: f"a.{value}",
        covered={"activation": lambda c: c.activation or "None"},
        terms={"activation": Word(lambda c: c.activation or "linear", (*ACTIVATIONS, *ALIASES))},
        told={},
    ),
    Axis(
        field="use_bias",
        pattern="(bias|nobias)",
        read="bias".__eq__,
        write=lambda value: "bias" if value else "nobias",
        covered={"use_bias": lambda c: "not passed" if c.use_bias is None else str(c.use_bias)},
        terms={"bias": Word(lambda c: c.has_bias, (True, False))},
        told={"use_bias": lambda c: c.has_bias},
    ),
    Axis(
        field="dtype",
        pattern=f"({'|'.join(POLICIES)})",
        read=str,
        write=str,
        covered={"dtype": lambda c: c.dtype or "not passed"},
        terms={
            "dtype": Word(lambda c: c.dtype or "float32", POLICIES),
            "compute_dtype": Word(lambda c: c.compute_dtype, FLOATS),
        },
        told={"dtype": lambda c: c.compute_dtype},
    ),
    _memory_axis("view", "view", VIEWS, "memory of the input"),
    _memory_axis("kernel_view", "kernel", KERNEL_VIEWS, "memory of the kernel"),
    _memory_axis("bias_view", "bias", BIAS_VIEWS, "memory of the bias"),
    Axis(
        field="but",
        pattern=rf"but\.({'|'.join(map(re.escape, BUT))})",
        read=str,
        write=lambda value: f"but.{value}",
        covered={VARIED: lambda c: (c.but or "nothing").partition(".")[0]},
        terms={
            "but": Word(lambda c: c.but or "none", ("none", *BUT)),
            "varied": Word(
                lambda c: (c.but or "none").partition(".")[0],
                ("none", *REFUSALS, *dict.fromkeys(v.argument for v in VARIATIONS.values())),
            ),
        },
        told={},
    ),
    Axis(
        field="weights",
        pattern=r"w\.([0-9]{1,19})",
        read=int,
        write=lambda value: f"w.{value}",
        covered={},
        terms={},
        told={},
    ),
    Axis(
        field="data",
        pattern=rf"({'|'.join(DATA_KINDS)})",
        read=str,
        write=str,
        example=f"{', '.join(DATA_KINDS)} with a seed, such as integers.7",
        covered={"values": lambda c: c.data},
        terms={"data": Word(lambda c: c.data, DATA_KINDS)},
        told={},
    ),
)

TERMS: dict[str, Term] = {name: term for axis in AXES for name, term in axis.terms.items()}
