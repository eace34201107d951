"""One implementation on one case: what it answered, and what it should have."""

from __future__ import annotations

import json
import re
import zlib
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.calls import OUTPUT, Call
from conformance.case import Case
from conformance.criteria import EXACT_ACTIVATIONS, Expected, error_ratio, expected
from conformance.data import SPECIAL_KINDS, Arrays, arrays
from conformance.errors import Crashed, Unsupported
from conformance.implementations.info import Info
from conformance.observing.life import reference_life
from conformance.observing.memory import Memory
from conformance.observing.observation import NOT_MADE, Answer, Observation, Raised
from conformance.special import Special, special
from conformance.sums import kept_sums
from conformance.variations import VARIATIONS, Stage

# Sizes such as 3x3, and numbers that are no part of a name such as float16.
_NUMBER = re.compile(r"(?<![A-Za-z0-9.])\d+(?:\.\d+)?(?:e[+-]?\d+|(?:x\d+)+)?(?![A-Za-z])")
_ADDRESS = re.compile(r"0x[0-9a-f]+")


class CheckFailure(Exception):
    """A check does not hold.

    Attributes:
        cause: one sentence without the numbers of the case.
        message: the same with them.
        ratio: greatest error over bound, where there is one.
    """

    def __init__(self, cause: str, message: str = "", ratio: float | None = None) -> None:
        super().__init__(cause, message, ratio)
        self.cause, self.message, self.ratio = cause, message or cause, ratio


class Trial:
    """A case on an implementation; everything is computed when first read.

    Attributes:
        case: what is tried.
        info: who is tried.
        answers: what it answered, by call; empty before it was asked.
        changed: which of its arrays it changed; see `Observation`.
        applying: the checks that are made on it, by the names that are asked for.
    """

    def __init__(self, case: Case, info: Info) -> None:
        self.case, self.info = case, info
        self.answers: dict[Call, Answer] = {}
        self.changed: dict[str, bytes] = {}
        self.applying: dict[tuple[str, ...], tuple[Any, ...]] = {}

    def observed(self, calls: tuple[Call, ...], observation: Observation) -> None:
        """Keep the answers to `calls`.

        Raises:
            ValueError: there is another number of answers.
        """
        self.answers = dict(zip(calls, observation.answers, strict=True))
        self.changed = dict(observation.changed)

    @cached_property
    def data(self) -> Arrays:
        """The arrays of the case; the implementation has copies of them."""
        return arrays(self.case)

    @cached_property
    def expected(self) -> Expected:
        """What the case must give."""
        return expected(self.case, self.data, self.info.declared, kept_sums)

    @cached_property
    def special(self) -> Special:
        """What a case with special values must give."""
        return special(self.case, self.data, self.info.declared, self.expected)

    @cached_property
    def wanted_life(self) -> dict[Stage, Answer]:
        """What the reference shows at each stage; empty where it cannot be made so."""
        assert self.case.but is not None
        variation = VARIATIONS[self.case.but]
        if variation.stage is Stage.CONSTRUCT and variation.of_keras and not variation.spells:
            return {}
        return reference_life(self.case, alike=variation.of_keras)

    @cached_property
    def decided_weights(self) -> list[int]:
        """The numbers of the weights whose first values are not random, nor drawn from a seed.

        Each engine draws other numbers from the same one.
        """
        first = self.wanted_life[Stage.WEIGHTS][1]
        alike = VARIATIONS[str(self.case.but)].of_keras
        second = reference_life(self.case, alike=alike, brief=True)[Stage.WEIGHTS][1]
        equal = [n for n, (a, b) in enumerate(zip(first, second, strict=True)) if (a == b).all()]
        config = self.wanted_life[Stage.CONFIG]
        known = json.loads(config) if isinstance(config, str) else {}
        drawn = [_is_seeded(known.get(f"{side}_initializer")) for side in ("kernel", "bias")]
        return [n for n in equal if not any(drawn[n : n + 1])]

    @property
    def is_exact_life(self) -> bool:
        """Whether the results of a life are exact: its numbers are small integers."""
        config = self.wanted_life[Stage.CONFIG]
        activation = json.loads(config)["activation"] if isinstance(config, str) else None
        return not isinstance(activation, dict) and activation in EXACT_ACTIVATIONS

    @property
    def is_wrong(self) -> bool:
        """Whether the first call returned a wrong array."""
        try:
            got = self.output
        except (CheckFailure, Unsupported, Crashed):
            return False
        want = self.expected
        if got.shape != want.value.shape:
            return True
        if self.case.data in SPECIAL_KINDS:
            return bool(self.special.wrong(got).any())
        return bool((error_ratio(got, want) > 1).any())

    @property
    def output(self) -> NDArray[Any]:
        """What the first call returned; errors as for `array`."""
        return self.array(OUTPUT)

    def array(self, call: Call) -> NDArray[Any]:
        """The array that `call` returned.

        Raises:
            CheckFailure: it raised, or returned something that is not an array.
            Unsupported: the implementation does not do this.
            Crashed: a process of its own ended.
        """
        found = self.answer(call)
        assert isinstance(found, np.ndarray)
        return found

    def answer(self, call: Call) -> Answer:
        """What `call` gave, arrays or other plain data; errors as for `array`."""
        found = self.answers[call]
        if isinstance(found, Raised):
            raise _failure(found)
        if found is NOT_MADE:
            raise CheckFailure("was not called, since the first call failed")
        return found

    def changed_view(self, name: str, given: NDArray[Any]) -> NDArray[Any] | None:
        """The array called `name` as it is after the calls, None if its memory is as it was.

        `given` is the array of the case.
        """
        if name not in self.changed:
            return None
        return Memory.of(given).array(self.changed[name])

    def one_in(self, number: int) -> bool:
        """True for one case in `number`, always the same ones; for all where calls cost little.

        TensorFlow recompiles a grouped call every time: there it is one in eight times as many.
        """
        if not self.info.costly_calls:
            return True
        number *= 1 if self.case.geometry.groups == 1 else 8
        return zlib.crc32(str(self.case).encode()) % number == 0


def _failure(raised: Raised) -> Exception:
    """The exception with which a check ends that reads what raised."""
    if raised.how == "unsupported":
        return Unsupported(raised.text)
    if raised.how == "crashed":
        return Crashed(raised.text)
    verb = "raises " if raised.how == "raises" else ""
    return CheckFailure(verb + generic(raised.text), verb + raised.text)


def generic(text: str) -> str:
    """`text` without numbers and addresses, so that equal troubles look equal."""
    return _NUMBER.sub("#", _ADDRESS.sub("#", text))


def _is_seeded(initializer: Any) -> bool:
    """Whether an initializer, as a configuration has it, draws from a seed that was given."""
    config = initializer.get("config") if isinstance(initializer, dict) else None
    return isinstance(config, dict) and config.get("seed") is not None
