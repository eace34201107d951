"""Small convolutions on every kind of data, for tests of the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from reference_impl.dtypes import FLOATS, as_dtype

KINDS = ("normal", "integers", "grid", "wide", "extreme", "special", "cancelling")
EXPONENTS = {
    "float16": (-20, 12),
    "bfloat16": (-140, 120),
    "float32": (-150, 120),
    "float64": (-1060, 1000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """Operands and arguments of `reference_impl.conv2d`."""

    x: NDArray[Any]
    kernel: NDArray[Any]
    bias: NDArray[Any] | None
    arguments: dict[str, Any]

    @property
    def operands(self) -> tuple[Any, Any, Any]:
        return self.x, self.kernel, self.bias


def values(rng: np.random.Generator, kind: str, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Random numbers of one kind; ``special`` has infinities, NaN and zeros of both signs."""
    drawn = rng.standard_normal(shape)
    if kind == "integers":
        drawn = rng.integers(-4, 5, shape).astype(float)
    elif kind == "grid":
        drawn = rng.integers(-128, 128, shape) / 64
    elif kind == "wide":
        drawn = np.ldexp(drawn, rng.integers(-12, 12, shape))
    elif kind == "extreme":
        drawn = np.ldexp(drawn, rng.integers(*EXPONENTS[dtype], shape))
    elif kind == "special":
        chance = rng.random(shape)
        for below, value in (
            (0.2, 0.0),
            (0.1, -0.0),
            (0.05, np.nan),
            (0.03, -np.inf),
            (0.02, np.inf),
        ):
            drawn[chance < below] = value
    elif kind == "cancelling":
        sign = np.where(rng.random(shape) < 0.5, 1.0, -1.0)
        drawn = sign * np.ldexp(1 + rng.integers(0, 3, shape) / 1024, rng.integers(0, 2, shape))
    with np.errstate(over="ignore"):
        return drawn.astype(as_dtype(dtype))


@st.composite
def convolutions(draw: st.DrawFn, *, dtypes: tuple[str, ...] = FLOATS) -> Convolution:
    """Any valid arguments, strides together with dilation included, on a few elements."""
    dtype = draw(st.sampled_from(dtypes))
    kind, other = draw(st.sampled_from(KINDS)), draw(st.sampled_from(KINDS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    groups, depth, per_group, batch = (int(rng.integers(1, n)) for n in (3, 4, 10, 3))
    if rng.integers(5) == 0:  # depthwise
        groups, depth, per_group = int(rng.integers(2, 20)), 1, 1
    kh, kw, sh, sw, dh, dw = map(int, rng.integers(1, (4, 4, 3, 3, 3, 3)))
    padding = str(rng.choice(["valid", "same"]))
    height, width = map(int, rng.integers(1, 5, 2))
    if padding == "valid":
        height, width = height + (kh - 1) * dh, width + (kw - 1) * dw
    first = bool(rng.integers(2))
    shape = (
        (batch, groups * depth, height, width) if first else (batch, height, width, groups * depth)
    )
    filters = groups * per_group
    return Convolution(
        x=values(rng, kind, shape, dtype),
        kernel=values(rng, other, (kh, kw, depth, filters), dtype),
        bias=values(rng, other, (filters,), dtype) if rng.integers(2) else None,
        arguments={
            "strides": (sh, sw),
            "padding": padding,
            "data_format": "channels_first" if first else "channels_last",
            "dilation_rate": (dh, dw),
            "groups": groups,
        },
    )
