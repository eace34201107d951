"""Asking an implementation, in the process that runs it.

What this module needs of NumPy is bound when it is imported, which is before foreign code is.
"""

from __future__ import annotations

import operator
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.calls import APART, FURTHER, Call, Kind
from conformance.data import Arrays
from conformance.errors import Crashed, Unsupported, describe, first_line
from conformance.implementations.base import FunctionCall, Implementation, NotAnArrayError
from conformance.observing.life import live
from conformance.observing.memory import Rebuilt
from conformance.observing.observation import NOT_MADE, Answer, Observation, Opaque, Raised
from conformance.observing.question import NAMES, Question

_errstate, _array, _asarray = np.errstate, np.array, np.asarray
_negative, _ndarray, _masked = np.negative, np.ndarray, np.ma.MaskedArray
_may_share = np.may_share_memory
LONGEST = 300


def observe(
    implementation: Implementation, question: Question, *, traces: bool = False
) -> Observation:
    """The answers of `implementation`; it gets arrays of its own.

    With `traces`, tracebacks of what it raises are printed.
    """
    return _Asking(implementation, question, traces).observation()


class _Asking:
    def __init__(self, implementation: Implementation, question: Question, traces: bool) -> None:
        self.implementation, self.question, self.traces = implementation, question, traces
        self.given = [None if m is None else m.rebuilt() for m in question.memory]
        self.data = _arrays(self.given)
        self.first: Any = None  # what the first call returned, as it was returned
        self._refusals: tuple[type[BaseException], ...] = (
            Unsupported,
            Crashed,
            *implementation.unsupported_errors,
        )

    def observation(self) -> Observation:
        prepared: Any = NOT_MADE
        answers: list[Answer] = []
        returned = False
        for call in self.question.calls:
            if call.kind in FURTHER and not returned:
                answers.append(NOT_MADE)
                continue
            if prepared is NOT_MADE and call.kind not in APART:
                prepared = self._ask(
                    lambda: self.implementation.prepare(self.question.case, self.data)
                )
            failed = isinstance(prepared, Raised) and call.kind not in APART
            answer = prepared if failed else self._answer(call, prepared)
            returned |= call.kind is Kind.OUTPUT and isinstance(answer, _ndarray)
            answers.append(answer)
        changed = {
            name: now
            for name, given in zip(NAMES, self.given, strict=True)
            if given is not None and (now := given.changed()) is not None
        }
        return Observation(answers, changed)

    def _answer(self, call: Call, prepared: Any) -> Answer:
        x = self.data.x
        if call.kind is Kind.WEIGHTS:
            return self._ask(lambda: [_array(_asarray(w)) for w in prepared.weights()])
        if call.kind is Kind.OUTPUT_SHAPE:
            return self._ask(lambda: _plain_shape(prepared.compute_output_shape(call.of)))
        if call.kind is Kind.GRADIENTS:
            return self._gradients()
        if call.kind is Kind.FUNCTION:
            fresh = self._fresh()
            function = FunctionCall(self.implementation, fresh, self.question.case)
            return self._converted(self._ask(lambda: function.call(fresh.x)))
        if call.kind in (Kind.LIFE, Kind.PLAIN_LIFE):
            alike = call.kind is Kind.PLAIN_LIFE
            return live(
                self.implementation, self.question.case, self._ask, alike=alike, brief=alike
            )
        if call.kind is Kind.STILL:
            return self._still()
        if call.kind is Kind.OTHER:
            x = _negative(x)
        elif call.kind is Kind.SAMPLE:
            index = call.of[0]
            assert index is not None
            x = x[index : index + 1]
        result = self._ask(lambda: prepared.call(x))
        if call.kind is Kind.OUTPUT:
            self.first = result
        return self._converted(result)

    def _still(self) -> Answer:
        """The first result as it is now, and what it shares memory with.

        Every owner of memory is in one piece, so whoever reaches into its extent shares it.
        """
        still = self._converted(self.first)
        if isinstance(still, Raised):
            return still
        array = self._ask(lambda: self.implementation.to_numpy(self.first))
        given = zip(NAMES, self.given, strict=True)
        shared = [name for name, g in given if g is not None and _may_share(array, g.owner)]
        return [still, list[Answer](shared)]

    def _gradients(self) -> Answer:
        gradients, upstream = self.implementation.gradients, self.question.upstream
        assert gradients is not None
        assert upstream is not None
        fresh = self._fresh()
        arguments = self.question.case.function_arguments()
        above = upstream.rebuilt().view
        found = self._ask(lambda: gradients(fresh.x, fresh.kernel, fresh.bias, above, **arguments))
        if isinstance(found, Raised):
            return found
        if not isinstance(found, tuple | list) or len(found) != 3:
            return Raised("returns", "gradients does not return three gradients")
        return [None if part is None else self._converted(part) for part in found]

    def _fresh(self) -> Arrays:
        return _arrays([None if m is None else m.rebuilt() for m in self.question.memory])

    def _converted(self, result: Any) -> NDArray[Any] | Raised:
        """A copy of `result` as an array, or what was raised in its place."""
        if isinstance(result, Raised):
            return result
        try:
            if isinstance(result, _masked):
                return Raised("returns", "returns a masked array")
            array = self.implementation.to_numpy(result)
            # Of one that is far too large only shape and dtype are told, so it is not copied.
            if isinstance(array, _ndarray) and array.size > self.question.most:
                return array
            return _array(array, order="C")
        except NotAnArrayError as error:
            return Raised("returns", str(error)[:LONGEST])
        except Exception as error:  # noqa: BLE001 - a stranger's __array__
            if isinstance(error, self._refusals):
                return _raised(error, self.implementation)
            start = "returns something that does not convert to an array"
            return Raised("returns", f"{start}: {describe(error)}")

    def _ask(self, action: Callable[[], Any]) -> Any:
        try:
            with _errstate():  # what it sets is undone
                return action()
        except BaseException as error:  # noqa: BLE001 - SystemExit of an adapter is a finding too
            if self.traces and not isinstance(error, self._refusals):
                traceback.print_exc()
            return _raised(error, self.implementation)


def _raised(error: BaseException, implementation: Implementation) -> Raised:
    if isinstance(error, Crashed):
        return Raised("crashed", str(error))
    if isinstance(error, Unsupported):
        return Raised("unsupported", str(error))
    if isinstance(error, implementation.unsupported_errors):
        return Raised("unsupported", first_line(error))
    return Raised("raises", describe(error), _types(error))


def _types(error: BaseException) -> tuple[str, ...]:
    return tuple(kind.__name__ for kind in type(error).__mro__)


def _arrays(given: list[Rebuilt | None]) -> Arrays:
    x, kernel, bias = given
    assert x is not None
    assert kernel is not None
    return Arrays(x.view, x.owner, kernel.view, None if bias is None else bias.view)


def _plain_shape(shape: Any) -> Answer:
    """A shape as a list of numbers and None; anything else by its type and text."""
    if not isinstance(shape, tuple | list):
        return _opaque(shape)
    sizes: list[Answer] = []
    for size in shape:
        if size is None or isinstance(size, float):
            sizes.append(size)
            continue
        try:
            sizes.append(operator.index(size))
        except TypeError:
            sizes.append(_opaque(size))
    return sizes


def _opaque(thing: Any) -> Answer:
    if thing is None:
        return None
    try:
        text = repr(thing)[:LONGEST]
    except Exception:  # noqa: BLE001 - a stranger's __repr__
        text = f"<{type(thing).__name__}>"
    return Opaque(type(thing).__name__, text)
