"""Layers that published networks are built of: kernel, strides, dilation, padding and groups.

The geometries of every Conv2D, DepthwiseConv2D and SeparableConv2D of `keras.applications` (Keras
3.15.1), and those of AlexNet, GoogLeNet, ResNet, ResNeXt, DeepLab, EfficientNet, DQN, pix2pix,
SRCNN and vision transformers. Sizes are cut down, whatever else varies is filled in by `design`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from conformance.case import Case
from conformance.plan.factors import FACTORS, NUMBER, geometric, groups_level, steps_level
from reference_impl.geometry import Pair


@dataclass(frozen=True, slots=True)
class Popular:
    """A layer; `groups` is a level of that factor."""

    kernel_size: Pair
    strides: Pair
    padding: str
    dilation_rate: Pair
    groups: str

    def __str__(self) -> str:
        words = [f"{self.kernel_size[0]}x{self.kernel_size[1]}"]
        if self.strides != (1, 1):
            words.append(f"stride {self.strides[0]}")
        if self.dilation_rate != (1, 1):
            words.append(f"dilation {self.dilation_rate[0]}")
        words.append(self.padding)
        if self.groups != "1":
            words.append(f"{self.groups} groups" if self.groups in ("few", "many") else self.groups)
        return " ".join(words)

    @property
    def paddings(self) -> tuple[str, ...]:
        """The levels of padding that it can have."""
        levels = FACTORS[NUMBER["padding"]].levels
        return tuple(
            level
            for level in levels
            if (level == "valid") == (self.padding == "valid")
            and geometric([self.kernel_size], [self.strides], [self.dilation_rate], level)
        )


def _layer(
    kernel: int | Pair, stride: int = 1, padding: str = "same", dilation: int = 1, groups: str = "1"
) -> Popular:
    pair = (kernel, kernel) if isinstance(kernel, int) else kernel
    return Popular(pair, (stride, stride), padding, (dilation, dilation), groups)


POPULAR: tuple[Popular, ...] = (
    _layer(3, 2),
    _layer(3),
    _layer(3, 1, "valid"),
    _layer(3, 2, "valid"),
    _layer(1),
    _layer(1, 1, "valid"),
    _layer(1, 2),
    _layer(1, 2, "valid"),
    _layer(7, 2),
    _layer(7, 2, "valid"),
    _layer(5),
    _layer(5, 1, "valid"),
    _layer(5, 2),
    _layer(7),
    _layer(9),
    _layer(4, 2),
    _layer(4, 2, "valid"),
    _layer(8, 4, "valid"),
    _layer(11, 4),
    _layer(11, 4, "valid"),
    _layer((1, 3)),
    _layer((3, 1)),
    _layer((1, 7)),
    _layer((7, 1)),
    _layer(2),
    _layer(2, 1, "valid"),
    _layer(2, 2),
    _layer(2, 2, "valid"),
    _layer(4, 4, "valid"),
    _layer(14, 14, "valid"),
    _layer(16, 16, "valid"),
    _layer(3, groups="depthwise"),
    _layer(3, 1, "valid", groups="depthwise"),
    _layer(3, 2, groups="depthwise"),
    _layer(3, 2, "valid", groups="depthwise"),
    _layer(3, groups="multiplier"),
    _layer(5, groups="depthwise"),
    _layer(5, 2, groups="depthwise"),
    _layer(5, 2, "valid", groups="depthwise"),
    _layer(7, groups="depthwise"),
    _layer(7, 2, "valid", groups="depthwise"),
    _layer(3, groups="many"),
    _layer(3, 2, groups="many"),
    _layer(3, groups="few"),
    _layer(1, groups="few"),
    _layer(3, dilation=2),
    _layer(3, 1, "valid", dilation=2),
    _layer(3, dilation=4),
    _layer(3, dilation=6),
    _layer(3, dilation=12),
    _layer(3, dilation=18),
    _layer(3, dilation=2, groups="depthwise"),
)


_NUMBERS = {
    (one.kernel_size, one.strides, one.dilation_rate, one.padding, one.groups): number
    for number, one in enumerate(POPULAR)
}


def popular_number(case: Case) -> int:
    """Which of `POPULAR` a case is, -1 for none."""
    g = case.geometry
    key = g.kernel_size, g.strides, g.dilation_rate, g.padding, groups_level(case)
    return _NUMBERS.get(key, -1)


# What networks mostly consist of; a later layer differs from them in what few have.
EVERYDAY = POPULAR[:8]


def repeats(popular: Popular) -> int:
    """How many rows a layer has: everyday ones meet all pairs of channels and filters."""
    if popular in EVERYDAY:
        return 16
    return 3


@cache
def fixed_levels(popular: Popular) -> dict[int, str]:
    """The level of every factor that a popular layer fixes, by the factor's number."""
    case = Case(
        input_shape=(1, 400, 400, 1),
        filters=1,
        kernel_size=popular.kernel_size,
        strides=popular.strides,
        dilation_rate=popular.dilation_rate,
    )
    return {
        NUMBER["kernel"]: str(FACTORS[NUMBER["kernel"]].of(case)),
        NUMBER["strides"]: steps_level(popular.strides),
        NUMBER["dilation"]: steps_level(popular.dilation_rate),
        NUMBER["groups"]: popular.groups,
    }
