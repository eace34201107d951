"""The smallest example that still fails: one axis after the other, by bisection.

Hypothesis shrinks what it draws, and most of a plan is not drawn; so cases are shrunk as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.case import Case
from conformance.data import SPECIAL_KINDS
from conformance.plan.asking import Asked
from conformance.plan.rows import Example
from reference_impl.geometry import Pair, effective_size

SHRINK_ATTEMPTS = 200
MOST_ROUNDS = 4
MOST_EARLIER = 4  # calls that somebody would read

Change = Callable[[Case], Case]

# What is tried for every field that is no number, the plainest value first.
_PLAIN: dict[str, tuple[Any, ...]] = {
    "activation": (None, "relu"),
    "view": (None,),
    "kernel_view": (None,),
    "bias_view": (None,),
    "dtype": (None, "float16", "float64"),
    "use_bias": (None, False),
    "data_format": (None,),
    "groups": (None,),
    "weights": (None,),
    "data": ("integers", "small", "normal", "special"),
    "seed": (0, 1, 2, 3),
}


def smallest(
    example: Example,
    fails: Callable[[Example], bool],
    asked: Asked = Asked(),  # noqa: B008 - frozen
    attempts: int = SHRINK_ATTEMPTS,
) -> Example:
    """The simplest example found that `fails`, shrunk from `example`, which does.

    After `attempts` calls of `fails` nothing new is tried: a bound that, unlike a time limit, gives
    the same answer on every machine.
    """
    return _Shrinking(example, fails, asked, attempts).run()


def fewest(cases: Example, fails: Callable[[Example], bool], most: int = MOST_EARLIER) -> Example:
    """At most so many of `cases`, which fail together and not without them; () if it takes more.

    One after the other is found by bisection: the last case such that what follows it fails only
    with it. That what fails still does so after further cases is taken for granted.
    """
    kept: Example = ()
    while len(kept) < most:
        least, end = 0, len(cases)  # from `least` on they fail, from `end` on they do not
        while end - least > 1:
            middle = (least + end) // 2
            if fails((*kept, *cases[middle:])):
                least = middle
            else:
                end = middle
        kept, cases = (*kept, *cases[least : least + 1]), cases[least + 1 :]
        if fails(kept):
            return kept
    return ()


@dataclass
class _Shrinking:
    best: Example
    fails: Callable[[Example], bool]
    asked: Asked
    left: int

    def __post_init__(self) -> None:
        self.known: dict[Example, bool] = {self.best: True}

    def run(self) -> Example:
        self._shorten()
        for _ in range(MOST_ROUNDS):
            before = self.best
            self._plain()
            self._numbers()
            if self.best == before or self.left <= 0:
                break
        return self.best

    def _try(self, example: Example) -> bool:
        """Whether `example` fails; if so it is the best one from now on."""
        if example not in self.known:
            if self.left <= 0 or not all(map(self.asked.may_ask, example)):
                return False
            self.left -= 1
            self.known[example] = self.fails(example)
        if self.known[example]:
            self.best = example
        return self.known[example]

    def _shorten(self) -> None:
        last = len(self.best) - 1
        if last and not self._try(self.best[-1:]):
            any(self._try((self.best[n], self.best[last])) for n in range(last))

    def _change(self, change: Change) -> bool:
        """Apply a change to every case, or else to one of several."""
        everywhere = tuple(map(change, self.best))
        if everywhere == self.best:
            return False
        if any(map(self._try, _on_other_values(everywhere))):
            return True
        singly = (
            (*self.best[:n], changed, *self.best[n + 1 :])
            for n, changed in enumerate(everywhere)
            if changed != self.best[n]
        )
        return len(self.best) > 1 and any(map(self._try, singly))

    def _plain(self) -> None:
        if self._change(plain):
            return
        for change in _spellings():
            self._change(change)
        for field, values in _PLAIN.items():
            for value in values:
                if all(getattr(case, field) == value for case in self.best):
                    break
                if self._change(_setting(field, value)):
                    break

    def _numbers(self) -> None:
        """Every number down to the least that still fails, equal ones together first."""
        for names in NUMBERS:
            current = max(number_of(case, name) for case in self.best for name in names)
            least = LEAST.get(names[0], 1)
            if current <= least or self._change(_sized(names, least)):
                continue
            low, high = least, current
            while high - low > 1 and self.left > 0:
                middle = (low + high) // 2
                if self._change(_sized(names, middle)):
                    high = middle
                else:
                    low = middle


def _on_other_values(example: Example) -> Iterator[Example]:
    """An example as it is, and where few values decide whether it fails, with other ones."""
    yield example
    if example[-1].data in SPECIAL_KINDS:
        for seed in _PLAIN["seed"]:
            yield tuple(replace(case, seed=seed) for case in example)


def _setting(field: str, value: Any) -> Change:
    def change(case: Case) -> Case:
        if field == "data_format" and case.geometry.data_format == "channels_first":
            n, c, h, w = case.input_shape
            return replace(case, data_format=None, input_shape=(n, h, w, c))
        return replace(case, **{field: value})

    return change


def plain(case: Case) -> Case:
    """`case` with nothing given that need not be, values aside."""
    for change in _spellings():
        case = change(case)
    for field, values in _PLAIN.items():
        if field not in ("data", "seed"):
            case = _setting(field, values[0])(case)
    return case


def _spellings() -> Iterator[Change]:
    """Arguments written in the shortest way, or not at all."""

    def shortest(case: Case) -> Case:
        g = case.geometry
        pairs = {n: getattr(g, n) for n in ("kernel_size", "strides", "dilation_rate")}
        written: dict[str, Any] = {n: p[0] if p[0] == p[1] else p for n, p in pairs.items()}
        for name in ("strides", "dilation_rate"):
            written[name] = None if pairs[name] == (1, 1) else written[name]
        return replace(
            case,
            padding=None if g.padding == "valid" else "same",
            groups=None if g.groups == 1 else g.groups,
            data_format=None if g.data_format == "channels_last" else "channels_first",
            **written,
        )

    def valid(case: Case) -> Case:
        numbers = {name: number_of(case, name) for name in FIELDS}
        return with_numbers(replace(case, padding=None), numbers)

    yield shortest
    yield valid


# Sizes are those of the output: they stay when a kernel shrinks.
FIELDS = (
    "batch", "output_h", "output_w", "groups", "depth", "filters_of_group", "kernel_h", "kernel_w",
    "strides_h", "strides_w", "dilation_h", "dilation_w", "rest_h", "rest_w",
)  # fmt: skip
LEAST = {"rest_h": 0, "rest_w": 0}
NUMBERS: tuple[tuple[str, ...], ...] = (
    ("batch",),
    ("output_h", "output_w"), ("output_h",), ("output_w",),
    ("dilation_h", "dilation_w"), ("dilation_h",), ("dilation_w",),
    ("strides_h", "strides_w"), ("strides_h",), ("strides_w",),
    ("kernel_h", "kernel_w"), ("kernel_h",), ("kernel_w",),
    ("groups",), ("depth",), ("filters_of_group",),
    ("rest_h", "rest_w"), ("rest_h",), ("rest_w",),
)  # fmt: skip


def number_of(case: Case, name: str) -> int:
    """One of the `FIELDS` of a case."""
    g = case.geometry
    stem, _, axis = name.rpartition("_")
    n = "hw".find(axis) if stem else -1
    if n < 0:
        return {
            "batch": g.batch,
            "groups": g.groups,
            "depth": g.channels // g.groups,
            "filters_of_group": case.filters // g.groups,
        }[name]
    if stem == "rest":
        extent = 1 if g.padding == "same" else effective_size(g.kernel_size[n], g.dilation_rate[n])
        return g.size[n] - (g.output[n] - 1) * g.strides[n] - extent
    field = {"kernel": "kernel_size", "dilation": "dilation_rate"}.get(stem, stem)
    found: Pair = getattr(g, field)
    return found[n]


def _sized(names: Sequence[str], value: int) -> Change:
    """The change that brings some numbers down to `value`."""

    def change(case: Case) -> Case:
        numbers = {name: number_of(case, name) for name in FIELDS}
        if all(numbers[name] <= value for name in names):
            return case
        return with_numbers(case, numbers | {name: min(numbers[name], value) for name in names})

    return change


def with_numbers(case: Case, numbers: dict[str, int]) -> Case:
    """`case` with these numbers."""
    first = case.data_format == "channels_first"
    pairs = {
        stem: (numbers[f"{stem}_h"], numbers[f"{stem}_w"])
        for stem in ("output", "kernel", "strides", "dilation", "rest")
    }
    same = (case.padding or "valid").lower() == "same"
    h, w = (
        (out - 1) * s + (1 if same else effective_size(k, d)) + min(rest, s - 1)
        for out, k, s, d, rest in zip(
            *(pairs[stem] for stem in ("output", "kernel", "strides", "dilation", "rest")),
            strict=True,
        )
    )
    batch, channels = numbers["batch"], numbers["groups"] * numbers["depth"]
    written: dict[str, Any] = {
        "kernel_size": _rewritten(case.kernel_size, pairs["kernel"]),
        "strides": _rewritten(case.strides, pairs["strides"]),
        "dilation_rate": _rewritten(case.dilation_rate, pairs["dilation"]),
    }
    return replace(
        case,
        input_shape=(batch, channels, h, w) if first else (batch, h, w, channels),
        filters=numbers["groups"] * numbers["filters_of_group"],
        groups=None if numbers["groups"] == 1 else numbers["groups"],
        **written,
    )


def _rewritten(written: Any, pair: Pair) -> Any:
    """`pair`, written like `written` where that is possible."""
    if written is None and pair == (1, 1):
        return None
    if isinstance(written, tuple):
        return type(written)(pair)
    return pair[0] if pair[0] == pair[1] else pair
