"""What an implementation says it does: that steers what it is asked, and is itself checked."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import product
from typing import Any

from conformance.axes import DATA_FORMATS, PADDINGS
from conformance.case import Case
from conformance.errors import UsageError
from reference_impl.dtypes import FLOATS

ALGORITHMS = ("direct", "winograd", "fft")
CHOICES: dict[str, tuple[str, ...]] = {
    "dtypes": ("float32", "float64", "float16", "bfloat16"),
    "data_formats": tuple(DATA_FORMATS.values()),
    "paddings": PADDINGS,
}
FEATURES = ("groups", "dilation", "strides_with_dilation")

# What may be wrong and still be intended, by cause or diagnosis, and what to declare then.
FLUSHES = "subnormal numbers are treated as 0"
FLOAT32_SUMS = "float64 results are only as accurate as float32"
HALF_SUMS = {
    dtype: f"{dtype} results are only as accurate as sums in {dtype}"
    for dtype in ("float16", "bfloat16")
}
FAST_ERRORS = "errors_of_a_fast_algorithm"
INTENDED = {
    FLUSHES: "Capabilities(flushes_subnormals=True)",
    FLOAT32_SUMS: "Capabilities(accumulation='float32')",
    **{cause: f"Capabilities(accumulation='{dtype}')" for dtype, cause in HALF_SUMS.items()},
    FAST_ERRORS: "Capabilities(algorithm='winograd'), or 'fft'",
}

Need = tuple[str, str]  # (field, value), or (feature, "") for a feature


def _chosen(name: str, given: object, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The given values in the order of `allowed`."""
    values = [given] if isinstance(given, str) or not isinstance(given, Collection) else list(given)
    for value in values:
        if value not in allowed:
            raise UsageError(_refusal(name, value, allowed))
    if not values:
        raise UsageError(f"capability {name} is empty; allowed are {', '.join(allowed)}")
    return tuple(value for value in allowed if value in values)


def _refusal(name: str, value: object, allowed: Collection[object]) -> str:
    words = [str(a) for a in allowed]
    close = difflib.get_close_matches(str(value), words, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"capability {name} = {value!r}: allowed are {', '.join(words)}{hint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an implementation does. No case is drawn outside of it.

    What is claimed here and refused is a failure; what is not claimed and works is mentioned in
    the report.

    Attributes:
        dtypes: of ``float16``, ``bfloat16``, ``float32`` and ``float64``.
        data_formats: of ``channels_last`` and ``channels_first``.
        paddings: of ``valid`` and ``same``.
        groups: more than one group.
        dilation: a dilation_rate above 1.
        strides_with_dilation: strides and dilation_rate both above 1, which Keras refuses.
        accumulation: the precision its sums are held to. None: float32, and float64 for float64
            data. ``float32``: for float64 data too. ``float64``: for all data. ``float16``: for
            data of 16 bits; ``bfloat16``: for data of 16 bits, each in its own format; wider data
            as with None.
        algorithm: ``direct``, ``winograd`` or ``fft``. The last two are judged by a bound for the
            whole sample, since their errors leak between elements.
        deterministic: a repeated call gives the same bits.
        flushes_subnormals: numbers below the normal range, given or returned, may count as 0.
        gradients: ``gradients`` is there.
        symbolic_shapes: ``compute_output_shape`` of a layer takes None for an unknown size.

    Raises:
        UsageError: a value is none of those above; the message names it and what is allowed.
    """

    dtypes: Collection[str] = CHOICES["dtypes"]
    data_formats: Collection[str] = CHOICES["data_formats"]
    paddings: Collection[str] = CHOICES["paddings"]
    groups: bool = True
    dilation: bool = True
    strides_with_dilation: bool = False
    accumulation: str | None = None
    algorithm: str = "direct"
    deterministic: bool = True
    flushes_subnormals: bool = False
    gradients: bool = False
    symbolic_shapes: bool = True

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            object.__setattr__(self, name, _chosen(name, getattr(self, name), allowed))
        for name, words in (("accumulation", (None, *FLOATS)), ("algorithm", ALGORITHMS)):
            if getattr(self, name) not in words:
                raise UsageError(_refusal(name, getattr(self, name), words))
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, bool) and not isinstance(value, bool):
                raise UsageError(_refusal(field.name, value, (True, False)))
        if self.strides_with_dilation and not self.dilation:
            raise UsageError("capability strides_with_dilation = True needs dilation = True")

    def has(self, need: Need) -> bool:
        """Whether a value of a field, or a feature, is claimed."""
        name, value = need
        return value in getattr(self, name) if value else bool(getattr(self, name))

    def covers(self, case: Case) -> bool:
        """Whether everything that `case` needs is claimed."""
        return all(map(self.has, needs(case)))


EVERYTHING = Capabilities()


@dataclass(frozen=True, slots=True)
class Probe:
    """The smallest case that needs one thing, and as little else that is not claimed as can be.

    Attributes:
        need: what it needs.
        claimed: whether that is claimed; None where nothing is declared.
        case: an easy case, decided exactly.
    """

    need: Need
    claimed: bool | None
    case: Case


def needs(case: Case) -> tuple[Need, ...]:
    """What an implementation must do to be asked `case`."""
    strided, dilated = max(case.geometry.strides) > 1, max(case.geometry.dilation_rate) > 1
    features = {
        "groups": case.geometry.groups > 1,
        "dilation": dilated,
        "strides_with_dilation": strided and dilated,
    }
    return (
        ("dtypes", case.compute_dtype),
        ("data_formats", case.geometry.data_format),
        ("paddings", case.geometry.padding),
        *((name, "") for name, needed in features.items() if needed),
    )


def wording(need: Need) -> str:
    """``dtype float16``, ``padding same``, ``groups``."""
    name, value = need
    return f"{name.removesuffix('s')} {value}" if value else name.replace("_", " ")


def every_need() -> list[Need]:
    """All that a case can need, in a fixed order."""
    return [
        *((name, value) for name, values in CHOICES.items() for value in values),
        *((name, "") for name in FEATURES),
    ]


@cache
def probes(capabilities: Capabilities | None) -> tuple[Probe, ...]:
    """One probe for each need, the same for equal capabilities."""
    declared = capabilities or EVERYTHING
    base = Case(
        input_shape=(1, 6, 5, 4),
        filters=2,
        kernel_size=(2, 3),
        padding=_first(declared.paddings),
        data_format=_first(declared.data_formats),
        dtype=_first(declared.dtypes),
    )
    return tuple(
        Probe(need, None if capabilities is None else declared.has(need), _needing(base, need))
        for need in every_need()
    )


def is_probe(case: Case, capabilities: Capabilities | None) -> bool:
    """Whether `case` is a probe of something claimed."""
    return any(p.claimed and p.case == case for p in probes(capabilities))


def area() -> Iterator[tuple[Need, ...]]:
    """All combinations of what a case can need, in a fixed order."""
    features: tuple[tuple[Need, ...], ...] = (
        (),
        (("groups", ""),),
        (("dilation", ""),),
        (("groups", ""), ("dilation", "")),
        (("dilation", ""), ("strides_with_dilation", "")),
        (("groups", ""), ("dilation", ""), ("strides_with_dilation", "")),
    )
    values: list[list[Need]] = [[(name, v) for v in allowed] for name, allowed in CHOICES.items()]
    for chosen, extra in product(product(*values), features):
        yield (*chosen, *extra)


def _needing(base: Case, need: Need) -> Case:
    name, value = need
    if name == "strides_with_dilation":
        return _arranged(replace(base, strides=2, dilation_rate=(1, 2)))
    changes: dict[str, dict[str, Any]] = {
        "dtypes": {"dtype": value},
        "data_formats": {"data_format": value},
        "paddings": {"padding": value},
        "groups": {"groups": 2},
        "dilation": {"dilation_rate": (1, 2)},
    }
    return _arranged(replace(base, **changes[name]))


def _arranged(case: Case) -> Case:
    if case.data_format == "channels_first":
        n, h, w, c = case.input_shape
        return replace(case, input_shape=(n, c, h, w))
    return case


def _first(values: Collection[str]) -> str | None:
    return next(iter(values), None)
