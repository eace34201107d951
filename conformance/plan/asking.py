"""What can be asked of whom: the levels that a kind of implementation and its claims allow."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache

from conformance.calls import Kind
from conformance.capabilities import EVERYTHING, Capabilities
from conformance.case import Case
from conformance.errors import UsageError
from conformance.implementations.info import Info
from conformance.plan.cover import Claims
from conformance.plan.factors import FACTORS
from conformance.plan.rows import Example
from conformance.refusals import REFUSALS


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody who is asked: all that the cases depend on besides the seed.

    Attributes:
        kind: ``function`` or ``layer``.
        capabilities: what is claimed.
        costly_calls, modes: as in `Implementation`.
        contract: whether a layer is asked for Keras' whole contract.
    """

    kind: str = "layer"
    capabilities: Capabilities = EVERYTHING
    costly_calls: bool = False
    contract: bool = False
    modes: tuple[str, ...] = ()

    @classmethod
    def of(cls, info: Info) -> Asked:
        """The one that `info` tells of."""
        contract = Kind.LIFE in info.answers
        return cls(info.kind, info.declared, info.costly_calls, contract, info.modes)

    @property
    def claims(self) -> Claims:
        """The levels that may occur in what it is asked."""
        return _claims(self.kind, self.capabilities)

    def may_ask(self, case: Case) -> bool:
        """Whether `case` is a valid Conv2D within what is claimed."""
        try:
            claimed = self.capabilities.covers(case)
            return claimed and not (self.kind == "layer" and case.halves_an_odd_axis)
        except ValueError:
            return False


_HALVES = {"float16", "bfloat16"}


@cache
def _claims(kind: str, claimed: Capabilities) -> Claims:
    allowed: dict[str, Callable[[str], bool]] = {
        "dtype": lambda level: level in claimed.dtypes,
        "mixed precision": lambda level: level == "no" or bool(_HALVES & {*claimed.dtypes}),
        "data_format": lambda level: level in claimed.data_formats,
        "padding": lambda level: level.partition(",")[0] in claimed.paddings,
        "groups": lambda level: claimed.groups or level == "1",
        "dilation": lambda level: claimed.dilation or level == "1",
    }
    levels, counted = [], set()
    for number, factor in enumerate(FACTORS):
        numbers = tuple(
            n
            for n, level in enumerate(factor.levels)
            if factor.name not in allowed or allowed[factor.name](level)
        )
        if factor.only in ("", kind):
            counted.add(number)
        levels.append(numbers if number in counted else (0,))
    return Claims(tuple(levels), frozenset(counted), both=claimed.strides_with_dilation)


def refuse_unclaimed(cases: Iterable[Case], asked: Asked, name: str) -> None:
    """Refuse cases that no Keras layer does, unless they are claimed: they would be no finding.

    Raises:
        UsageError: strides and dilation_rate of a case are both above 1.
    """
    for case in cases:
        g = case.geometry
        both = max(g.strides) > 1 and max(g.dilation_rate) > 1
        if both and not asked.capabilities.strides_with_dilation:
            raise UsageError(
                f"case '{case}': strides {g.strides} and dilation_rate {g.dilation_rate} are both "
                f"above 1, which Keras refuses and {name} does not claim"
            )


def adapt(cases: Example, asked: Asked) -> Example:
    """The cases of a configuration as they are asked.

    A function has no activation and no dtype policy; a layer converts its weights on the way. A
    Winograd or FFT convolution gets integers so small that its errors stay below one half.
    """
    if asked.kind == "function":
        cases = tuple(
            replace(case, activation=None, dtype=case.dtype and case.compute_dtype)
            for case in cases
        )
    else:
        cases = tuple(replace(case, kernel_view=None, bias_view=None) for case in cases)
    if asked.capabilities.algorithm != "direct":
        cases = tuple(replace(c, data="small") if c.data == "integers" else c for c in cases)
    return cases


def fewer(cases: Example, *, paired: bool) -> Example:
    """The inputs of a configuration that are worth a costly call.

    Of the inputs after the integers, those that pairs need (`paired`), else one or two of them;
    where a call takes long a single one, often the integers.
    """
    first, *others = cases
    chance = zlib.crc32(str(first).encode())
    if takes_long(first):
        other = [case for case in others if case.weights is None]
        return (other[0],) if other and chance % 3 == 0 else (first,)
    kept = [first]
    for case in others:
        if case.weights is not None:  # those of the first
            keeps = chance % 3 == 0 and first.geometry.groups == 1
        else:
            keeps = paired or chance % 2 == (case.geometry.batch == 0)
        kept += [case] * keeps
    return tuple(kept)


def takes_long(case: Case) -> bool:
    """Whether a call of a costly implementation is very slow.

    TensorFlow compiles a grouped convolution anew at every call: for some 20 ms where it calls
    Eigen, which is for float32 without dilation in channels_last, and for 100 to 250 ms elsewhere.
    """
    g = case.geometry
    plain = case.compute_dtype == "float32" and g.data_format == "channels_last"
    return g.groups > 1 and (not plain or max(g.dilation_rate) > 1)


def refused(case: Case, asked: Asked) -> tuple[Case, ...]:
    """For one configuration of a function in ten, a call like `case` that has to be refused."""
    number = zlib.crc32(str(case).encode())
    if asked.kind != "function":
        return ()
    fitting = [name for name, refusal in REFUSALS.items() if refusal.applies(case.geometry)]
    if number % 10 or not fitting:
        return ()
    return (replace(case, but=fitting[number // 10 % len(fitting)]),)


def identity(case: Case, asked: Asked) -> tuple[object, ...]:
    """Equal for configurations that are the same to whom is asked, values aside."""
    seen = (case.geometry, case.dtype, case.has_bias, case.view, case.kernel_view, case.bias_view)
    return seen if asked.kind == "function" else (*seen, case.layer_key())


__all__ = ["Asked", "adapt", "fewer", "identity", "refuse_unclaimed", "takes_long"]
