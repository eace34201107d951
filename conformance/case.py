"""A case: one Conv2D configuration as a caller would write it, with its input, in one line of text.

The case string is a list of tokens joined by `-`; an argument that is not written is not passed:

    in2x8x9x3-f16-k3x2-s2-same-g1-a.relu-nobias-float16-integers.7

`in` is the input shape, batch first, in the data_format of the case; `f` filters; `k`, `s` and `d`
kernel_size, strides and dilation_rate, where `k3` is `3`, `k3x2` is `(3, 2)` and `k3,2` is
`[3, 2]`; `g` groups; `cl` and `cf` data_format; `a.` the activation; `bias` and `nobias` use_bias;
`view.`, `kernel.` and `bias.` how input, kernel and bias lie in memory; `but.` makes the call one
that is to be refused, or varies something on the layer; `w.` gives kernel and bias a seed of their
own. The last token is the kind of data and its seed. Several cases joined by `+` run in this order
in one process. The tokens are those of `conformance.axes`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, NoReturn

from conformance.axes import AXES, AsList, Written, pair_of
from conformance.pickling import pickled_by_arguments
from conformance.refusals import REFUSALS
from reference_impl.geometry import Geometry, channel_axis

_NOT_OF_THE_LAYER = {
    "input_shape",
    "view",
    "kernel_view",
    "bias_view",
    "but",
    "weights",
    "data",
    "seed",
    "_kept",
}


LONGEST_SHOWN = 200  # characters of a case string in a message; a long one has 150
MOST_VALUES = 2**25  # of an array that a case needs; the largest of the plan has under 2**19
MOST_PRODUCTS = 2**34  # of a case; the costliest of the plan has under 2**23


class CaseError(ValueError):
    """A case string that cannot be read; the message names the token and what is allowed."""


@pickled_by_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One configuration of Conv2D, kept as written. None means: the argument is not passed.

    Attributes:
        input_shape: (N, H, W, C), or (N, C, H, W) for `channels_first`.
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups, activation,
            use_bias: the arguments of Keras' Conv2D.
        dtype: the dtype policy, one of `axes.POLICIES`.
        view: None for a C-contiguous input, or one of `axes.VIEWS`.
        kernel_view, bias_view: the same of the weights that a function is given.
        but: None, one of `refusals.REFUSALS` (what makes the call no Conv2D), or one of
            `variations.VARIATIONS` (what is varied on the layer).
        weights: what kernel and bias are drawn from, whatever size the input has; None where they
            come with the input. 2n and 2n + 1 differ in the weight in the middle only.
        data: the kind of values, one of `axes.DATA_KINDS`.
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
    kernel_view: str | None = None
    bias_view: str | None = None
    but: str | None = None
    weights: int | None = None
    data: str = "integers"
    seed: int = 0
    # What is computed once, shared by cases that differ only in weights, data and seed.
    _kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __str__(self) -> str:
        head, data = self.alike
        weights = "" if self.weights is None else f"-w.{self.weights}"
        return f"{head}{weights}-{data}.{self.seed}"

    @property
    def alike(self) -> tuple[str, str]:
        """Equal for cases that differ in their seeds alone."""
        if "head" not in self._kept:
            values = zip(_WRITTEN, _before_data(self), strict=True)
            self._kept["head"] = "-".join([write(v) for write, v in values if v is not None])
        return self._kept["head"], self.data

    @classmethod
    def parse(cls, text: str) -> Case:
        """The case of a case string.

        Raises:
            CaseError: a token is unknown, doubled, missing, or its value is not allowed, or the
                case is too large to be tried.
        """
        head, _, last = text.strip().rpartition("-")
        before, _, given = head.rpartition("-")
        weights, data = _TOKENS["weights"].fullmatch(given), _TOKENS["data"].fullmatch(last)
        if data is None:
            return _read(text)
        try:
            like, values = _begun(before if weights else head)
        except CaseError:
            return _read(text)  # it tells of the whole text
        if like.weights is not None:
            return _read(text)
        number = int(weights[1]) if weights else None
        case = cls(**values, weights=number, data=data[1], seed=int(data[2]))
        object.__setattr__(case, "_kept", like._kept)
        return case

    @property
    def halves_an_odd_axis(self) -> bool:
        """Whether its activation, glu, is refused: the last axis of the output is odd."""
        return self.activation == "glu" and self.geometry.output_shape[-1] % 2 == 1

    @property
    def geometry(self) -> Geometry:
        """Arguments in Keras' words and as pairs, sizes and pads; computed once.

        Raises:
            ValueError: the configuration is not a valid Conv2D.
        """
        geometry: Geometry | None = self._kept.get("geometry")
        if geometry is None:
            geometry = self._kept["geometry"] = Geometry.of(
                self.input_shape,
                self.kernel_shape,
                strides=pair_of(self.strides),
                padding=(self.padding or "valid").lower(),
                data_format=self.data_format or "channels_last",
                dilation_rate=pair_of(self.dilation_rate),
                groups=self.groups or 1,
            )
        return geometry

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """(kh, kw, C // groups, filters)."""
        channels = self.input_shape[channel_axis(self.data_format or "channels_last")]
        return (*pair_of(self.kernel_size), channels // (self.groups or 1), self.filters)

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
    def asks(self) -> str:
        """What it is tried for: ``values``, a ``refusal``, or the ``life`` of a layer."""
        if self.but is None:
            return "values"
        return "refusal" if self.but in REFUSALS else "life"

    def function_arguments(self) -> dict[str, Any]:
        """Keyword arguments of the function contract: pairs always, padding in lower case."""
        geometry = self.geometry
        names = ("strides", "padding", "data_format", "dilation_rate", "groups")
        return {name: getattr(geometry, name) for name in names}

    def layer_arguments(self) -> dict[str, Any]:
        """Keyword arguments of the layer, as written: what is None here is not passed."""
        passed = {name: getattr(self, name) for name in _LAYER_ARGUMENTS}
        return {
            name: list(value) if isinstance(value, AsList) else value
            for name, value in passed.items()
            if value is not None
        }

    def layer_key(self) -> tuple[Any, ...]:
        """Equal for cases that one built layer can serve: same arguments, same channels."""
        if "layer" not in self._kept:
            arguments = self.layer_arguments().items()
            self._kept["layer"] = *((k, repr(v)) for k, v in arguments), self.geometry.channels
        key: tuple[Any, ...] = self._kept["layer"]
        return key


_LAYER_ARGUMENTS = tuple(f.name for f in fields(Case) if f.name not in _NOT_OF_THE_LAYER)


def parse_sequence(text: str) -> tuple[Case, ...]:
    """The cases of one or several case strings joined by `+`.

    Raises:
        CaseError: as `Case.parse`.
    """
    return tuple(Case.parse(part) for part in text.split("+"))


def format_sequence(cases: tuple[Case, ...]) -> str:
    """The inverse of `parse_sequence`."""
    return "+".join(map(str, cases))


def _shown(text: str) -> str:
    return f"{text!r}" if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]!r}..."


# The axes whose tokens come before the last ones, of which nearly every one is new.
_BEFORE = tuple(axis for axis in AXES if axis.field not in ("weights", "data"))
_BEFORE_DATA, _WRITTEN = [axis.field for axis in _BEFORE], [axis.write for axis in _BEFORE]
_NEEDED = tuple(axis for axis in AXES if axis.example)
_before_data = attrgetter(*_BEFORE_DATA)
_SEED = r"\.([0-9]{1,19})"
_TOKENS = {
    axis.field: re.compile(axis.pattern + (_SEED if axis.field == "data" else "")) for axis in AXES
}


@lru_cache(maxsize=5_000)
def _begun(head: str) -> tuple[Case, dict[str, Any]]:
    """A case whose tokens before the last ones are `head`, and what these say."""
    case = _read(f"{head}-integers.0")
    values = zip(_BEFORE_DATA, _before_data(case), strict=True)
    return case, {name: value for name, value in values if value is not None}


def _read(text: str) -> Case:
    """As `Case.parse`, token by token."""
    values: dict[str, Any] = {}
    for token in text.strip().split("-"):
        name, value = _token(token) or _refuse_token(token, text)
        if name in values:
            raise CaseError(
                f"case {_shown(text)}: token {_shown(token)} gives {name} a second time"
            )
        values[name] = value
    for axis in _NEEDED:
        if axis.field not in values:
            raise CaseError(
                f"case {_shown(text)}: {axis.field} is missing; it needs {axis.example}"
            )
    values["data"], values["seed"] = values["data"]
    case = Case(**values)
    _refuse_impossible(case, text)
    _refuse_huge(case, text)
    return case


def _refuse_token(token: str, text: str) -> NoReturn:
    raise CaseError(
        f"case {_shown(text)}: cannot read token {_shown(token)}; "
        "tokens look like in2x8x9x3 f16 k3x2 s2 d1x2 "
        "same g2 cf a.relu nobias float16 view.sliced integers.7, and sizes are at least 1"
    )


def _refuse_huge(case: Case, text: str) -> None:
    """Refuse what would take minutes and the whole memory, before anything is drawn for it."""
    geometry = case.geometry
    around = [size + sum(pads) for size, pads in zip(geometry.size, geometry.pads, strict=True)]
    values = {
        "the input with its padding": geometry.batch * math.prod(around) * geometry.channels,
        "the kernel": math.prod(case.kernel_shape),
        "the output": math.prod(geometry.output_shape),
    }
    for array, number in values.items():
        if number > MOST_VALUES:
            raise CaseError(
                f"case {_shown(text)}: {array} would have {number} values; "
                f"at most {MOST_VALUES} can be tried"
            )
    products = values["the output"] * geometry.taps
    if products > MOST_PRODUCTS:
        raise CaseError(
            f"case {_shown(text)}: it needs {products} products; "
            f"at most {MOST_PRODUCTS} can be tried"
        )


@lru_cache(maxsize=10_000)
def _token(token: str) -> tuple[str, Any] | None:
    """Field and value of a token."""
    for axis in AXES:
        match = _TOKENS[axis.field].fullmatch(token)
        if match:
            value = axis.read(match[1])
            return axis.field, (value, int(match[2])) if axis.field == "data" else value
    return None


def _refuse_impossible(case: Case, text: str) -> None:
    """Refuse what is no Conv2D, so that a typing error is not taken for a finding."""
    groups = case.groups or 1
    channels = case.input_shape[channel_axis(case.data_format or "channels_last")]
    if channels % groups or case.filters % groups:
        raise CaseError(
            f"case {_shown(text)}: groups={groups} must divide the {channels} channels "
            f"and the {case.filters} filters"
        )
    try:
        case.geometry  # noqa: B018 - computed for its refusals
    except ValueError as error:
        raise CaseError(f"case {_shown(text)}: {error}") from None
    if case.halves_an_odd_axis:
        raise CaseError(
            f"case {_shown(text)}: glu halves the last axis of the output, which has "
            f"{case.geometry.output_shape[-1]} elements"
        )
    if case.but in REFUSALS and not REFUSALS[case.but].applies(case.geometry):
        raise CaseError(f"case {_shown(text)}: but.{case.but} needs {REFUSALS[case.but].needs}")
