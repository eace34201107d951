"""A case: one Conv2D configuration as a caller would write it, with its input, in one line of text.

The case string is a list of tokens joined by ``-``; an argument that is not written is not passed:

    in2x8x9x3-f16-k3x2-s2-same-g1-a.relu-nobias-float16-integers.7

``in`` is the input shape, batch first, in the layout of the case; ``f`` filters; ``k``, ``s`` and
``d`` kernel_size, strides and dilation_rate, where ``k3`` is ``3``, ``k3x2`` is ``(3, 2)`` and
``k3,2`` is ``[3, 2]``; ``g`` groups; ``cl`` and ``cf`` data_format; ``a.`` the activation; ``bias``
and ``nobias`` use_bias; ``view.`` how the input lies in memory. The last token is the kind of data
and its seed. Several cases joined by ``+`` run in this order in one process.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from reference_impl.activations import ACTIVATIONS, ALIASES
from reference_impl.dtypes import FLOATS
from reference_impl.geometry import Geometry, Pair, channel_axis, spatial_axes

POLICIES = (*FLOATS, "mixed_float16", "mixed_bfloat16")
PADDINGS = ("valid", "same")
DATA_FORMATS = {"cl": "channels_last", "cf": "channels_first"}
DATA_KINDS = ("integers", "normal", "cancelling", "wide", "small")
VIEWS = ("sliced", "transposed", "reversed")


class AsList(tuple[int, ...]):
    """A pair that the caller wrote as a list; hashable, as a case must be."""

    __slots__ = ()


Written = int | tuple[int, ...]  # an int, a tuple, or an AsList


class CaseError(ValueError):
    """A case string that cannot be read; the message names the token and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One configuration of Conv2D, kept as written. None means: the argument is not passed.

    Attributes:
        input_shape: (N, H, W, C), or (N, C, H, W) for ``channels_first``.
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups, activation,
            use_bias: the arguments of Keras' Conv2D.
        dtype: the dtype policy, one of `POLICIES`.
        view: None for a C-contiguous input, or one of `VIEWS`.
        data: the kind of values, one of `DATA_KINDS`.
        seed: what the values are drawn from.
    """

    input_shape: tuple[int, int, int, int]
    filters: int
    kernel_size: Written
    strides: Written | None = None
    padding: str | None = None
    data_format: str | None = None
    dilation_rate: Written | None = None
    groups: int | None = None
    activation: str | None = None
    use_bias: bool | None = None
    dtype: str | None = None
    view: str | None = None
    data: str = "integers"
    seed: int = 0

    def __str__(self) -> str:
        tokens = [
            "in" + "x".join(map(str, self.input_shape)),
            f"f{self.filters}",
            "k" + _pair_text(self.kernel_size),
        ]
        if self.strides is not None:
            tokens.append("s" + _pair_text(self.strides))
        if self.dilation_rate is not None:
            tokens.append("d" + _pair_text(self.dilation_rate))
        if self.padding is not None:
            tokens.append(self.padding)
        if self.groups is not None:
            tokens.append(f"g{self.groups}")
        if self.data_format is not None:
            tokens.append("cl" if self.data_format == "channels_last" else "cf")
        if self.activation is not None:
            tokens.append(f"a.{self.activation}")
        if self.use_bias is not None:
            tokens.append("bias" if self.use_bias else "nobias")
        if self.dtype is not None:
            tokens.append(self.dtype)
        if self.view is not None:
            tokens.append(f"view.{self.view}")
        tokens.append(f"{self.data}.{self.seed}")
        return "-".join(tokens)

    @classmethod
    def parse(cls, text: str) -> Case:
        """The case of a case string.

        Raises:
            CaseError: a token is unknown, doubled, missing, or its value is not allowed.
        """
        values: dict[str, Any] = {}
        for token in text.strip().split("-"):
            name, value = _read_token(token, text)
            if name in values:
                raise CaseError(f"case {text!r}: token {token!r} gives {name} a second time")
            values[name] = value
        for name in ("input_shape", "filters", "kernel_size", "data"):
            if name not in values:
                raise CaseError(f"case {text!r}: {name} is missing; it needs {_NEEDED[name]}")
        values["data"], values["seed"] = values["data"]
        case = cls(**values)
        _refuse_impossible(case, text)
        return case

    @property
    def kernel(self) -> Pair:
        """kernel_size as a pair."""
        return _pair(self.kernel_size)

    @property
    def stride(self) -> Pair:
        """strides as a pair."""
        return _pair(self.strides)

    @property
    def dilation(self) -> Pair:
        """dilation_rate as a pair."""
        return _pair(self.dilation_rate)

    @property
    def padding_mode(self) -> str:
        """padding as Keras reads it: in lower case, ``valid`` unless passed."""
        return (self.padding or "valid").lower()

    @property
    def layout(self) -> str:
        """data_format, ``channels_last`` unless passed."""
        return self.data_format or "channels_last"

    @property
    def group_count(self) -> int:
        """groups, 1 unless passed."""
        return 1 if self.groups is None else self.groups

    @property
    def has_bias(self) -> bool:
        """use_bias, True unless passed."""
        return self.use_bias is not False

    @property
    def compute_dtype(self) -> str:
        """The dtype that the layer computes in and returns."""
        return (self.dtype or "float32").removeprefix("mixed_")

    @property
    def variable_dtype(self) -> str:
        """The dtype that the layer keeps its weights in."""
        policy = self.dtype or "float32"
        return "float32" if policy.startswith("mixed_") else policy

    @property
    def batch(self) -> int:
        return self.input_shape[0]

    @property
    def channels(self) -> int:
        return self.input_shape[channel_axis(self.layout)]

    @property
    def size(self) -> Pair:
        """(height, width) of the input."""
        h, w = spatial_axes(self.layout)
        return self.input_shape[h], self.input_shape[w]

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """(kh, kw, C // groups, filters)."""
        return (*self.kernel, self.channels // self.group_count, self.filters)

    @property
    def geometry(self) -> Geometry:
        """Sizes and pads.

        Raises:
            ValueError: the configuration is not a valid Conv2D.
        """
        return Geometry.of(self.input_shape, self.kernel_shape, **self.function_arguments())

    def function_arguments(self) -> dict[str, Any]:
        """Keyword arguments of the function contract: pairs always, padding in lower case."""
        return {
            "strides": self.stride,
            "padding": self.padding_mode,
            "data_format": self.layout,
            "dilation_rate": self.dilation,
            "groups": self.group_count,
        }

    def layer_arguments(self) -> dict[str, Any]:
        """Keyword arguments of the layer, as written: what is None here is not passed."""
        passed = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("input_shape", "view", "data", "seed")
        }
        return {
            name: list(value) if isinstance(value, AsList) else value
            for name, value in passed.items()
            if value is not None
        }

    def layer_key(self) -> tuple[Any, ...]:
        """Equal for cases that one built layer can serve: same arguments, same channels."""
        return (*((k, repr(v)) for k, v in self.layer_arguments().items()), self.channels)


def parse_sequence(text: str) -> tuple[Case, ...]:
    """The cases of one or several case strings joined by ``+``.

    Raises:
        CaseError: as `Case.parse`.
    """
    return tuple(Case.parse(part) for part in text.split("+"))


def format_sequence(cases: tuple[Case, ...]) -> str:
    """The inverse of `parse_sequence`."""
    return "+".join(map(str, cases))


def _pair(value: Written | None) -> Pair:
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


_NUMBER = r"[1-9][0-9]{0,6}"
_PAIR = rf"{_NUMBER}(?:[x,]{_NUMBER})?"
_DATA = rf"(?:{'|'.join(DATA_KINDS)})"
_TOKENS: tuple[tuple[str, str, Any], ...] = (
    (
        "input_shape",
        rf"in([0-9]{{1,7}}(?:x{_NUMBER}){{3}})",
        lambda t: tuple(map(int, t.split("x"))),
    ),
    ("filters", rf"f({_NUMBER})", int),
    ("kernel_size", rf"k({_PAIR})", _read_pair),
    ("strides", rf"s({_PAIR})", _read_pair),
    ("dilation_rate", rf"d({_PAIR})", _read_pair),
    ("groups", rf"g({_NUMBER})", int),
    ("padding", r"((?i:valid|same))", str),
    ("data_format", "(cl|cf)", DATA_FORMATS.__getitem__),
    ("activation", rf"a\.({'|'.join((*ACTIVATIONS, *ALIASES))})", str),
    ("use_bias", "(bias|nobias)", "bias".__eq__),
    ("dtype", f"({'|'.join(POLICIES)})", str),
    ("view", rf"view\.({'|'.join(VIEWS)})", str),
    ("data", rf"({_DATA}\.[0-9]{{1,19}})", lambda t: (t.split(".")[0], int(t.split(".")[1]))),
)
_NEEDED = {
    "input_shape": "a token such as in1x8x8x3",
    "filters": "a token such as f4",
    "kernel_size": "a token such as k3 or k3x2",
    "data": f"{', '.join(DATA_KINDS)} with a seed, such as integers.7",
}


def _read_token(token: str, text: str) -> tuple[str, Any]:
    for name, pattern, read in _TOKENS:
        match = re.fullmatch(pattern, token)
        if match:
            return name, read(match[1])
    raise CaseError(
        f"case {text!r}: cannot read token {token!r}; tokens look like in2x8x9x3 f16 k3x2 s2 d1x2 "
        f"same g2 cf a.relu nobias float16 view.sliced integers.7, and sizes are at least 1"
    )


def _refuse_impossible(case: Case, text: str) -> None:
    """Refuse what is no Conv2D, so that a typing error is not taken for a finding."""
    if case.channels % case.group_count or case.filters % case.group_count:
        raise CaseError(
            f"case {text!r}: groups={case.group_count} must divide the {case.channels} channels "
            f"and the {case.filters} filters"
        )
    try:
        case.geometry  # noqa: B018 - computed for its refusals
    except ValueError as error:
        raise CaseError(f"case {text!r}: {error}") from None
