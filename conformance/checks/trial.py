"""One implementation on one case: what it returned, and what it should have."""

from __future__ import annotations

import re
import traceback
import zlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.criteria import Expected, expected
from conformance.data import Arrays, arrays
from conformance.errors import Crashed, Unsupported, describe, first_line
from conformance.implementations.base import Implementation, NotAnArrayError, Prepared

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
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
    """A case on an implementation; everything is computed when first asked for.

    Attributes:
        case: what is tried.
        implementation: who is tried.
        traces: whether the traceback of what it raises is printed.
    """

    def __init__(self, case: Case, implementation: Implementation, *, traces: bool = False) -> None:
        self.case = case
        self.traces = traces
        self.implementation = implementation

    @cached_property
    def data(self) -> Arrays:
        """The arrays of the case; the implementation never sees these."""
        return arrays(self.case)

    @cached_property
    def given(self) -> Arrays:
        """Equal arrays that the implementation is given."""
        return self.data.copy(self.case)

    @cached_property
    def expected(self) -> Expected:
        return expected(self.case, self.data, self.implementation.declared)

    @cached_property
    def prepared(self) -> Prepared:
        prepared: Prepared = self._ask(lambda: self.implementation.prepare(self.case, self.given))
        return prepared

    @cached_property
    def output(self) -> NDArray[Any]:
        """What the first call returned.

        Raises:
            CheckFailure: it raised, or returned something that is not an array.
            Unsupported: the implementation does not do this.
        """
        return self.call(self.given.x)

    def call(self, x: NDArray[Any]) -> NDArray[Any]:
        """A further call; errors as for `output`. The result is a copy."""
        return self.ask(self.prepared, x)

    def ask(self, prepared: Prepared, x: NDArray[Any]) -> NDArray[Any]:
        """The result of `prepared` for `x`, as a copy; errors as for `output`."""
        return self._array(self._ask(lambda: prepared.call(x)))

    def gradients(
        self, given: Arrays, upstream: NDArray[Any], arguments: dict[str, Any]
    ) -> list[NDArray[Any] | None]:
        """The gradients with respect to input, kernel and bias; errors as for `output`."""
        gradients = self.implementation.gradients
        assert gradients is not None
        result = self._ask(
            lambda: gradients(given.x, given.kernel, given.bias, upstream, **arguments)
        )
        if not isinstance(result, tuple | list) or len(result) != 3:
            raise CheckFailure("gradients does not return three gradients")
        return [None if part is None else self._array(part) for part in result]

    def weights(self) -> list[NDArray[Any]]:
        """Kernel and bias as the implementation holds them; errors as for `output`."""
        prepared = self.prepared
        held: list[NDArray[Any]] = self._ask(lambda: list(map(np.asarray, prepared.weights())))
        return held

    def output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        """compute_output_shape of the layer; errors as for `output`."""
        prepared = self.prepared
        return self._ask(lambda: prepared.compute_output_shape(input_shape))

    def _array(self, result: Any) -> NDArray[Any]:
        try:
            return np.array(self.implementation.to_numpy(result), order="C")
        except NotAnArrayError as error:
            raise CheckFailure(str(error)) from None
        except (Unsupported, Crashed):
            raise
        except self.implementation.unsupported_errors as error:
            raise Unsupported(first_line(error)) from None
        except Exception as error:  # noqa: BLE001 - a stranger's __array__
            start, text = "returns something that does not convert to an array", describe(error)
            raise CheckFailure(f"{start}: {generic(text)}", f"{start}: {text}") from None

    def one_in(self, number: int) -> bool:
        """True for one case in `number`, always the same ones; for all where calls cost little.

        TensorFlow recompiles a grouped call every time: there it is one in eight times as many.
        """
        if not self.implementation.costly_calls:
            return True
        number *= 1 if self.case.geometry.groups == 1 else 8
        return zlib.crc32(str(self.case).encode()) % number == 0

    def _ask(self, action: Callable[[], Any]) -> Any:
        try:
            with np.errstate():  # what it sets is undone before the suite computes anything
                return action()
        except (KeyboardInterrupt, Unsupported, Crashed):
            raise
        except self.implementation.unsupported_errors as error:
            raise Unsupported(first_line(error)) from None
        except BaseException as error:  # noqa: BLE001 - SystemExit of an adapter is a finding too
            if self.traces:
                traceback.print_exc()
            text = describe(error)
            raise CheckFailure(f"raises {generic(text)}", f"raises {text}") from None


def generic(text: str) -> str:
    """`text` without numbers and addresses, so that equal troubles look equal."""
    return _NUMBER.sub("#", _ADDRESS.sub("#", text))
