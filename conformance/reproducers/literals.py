"""Arrays as Python source: small ones by their values, larger ones packed, and their memory."""

from __future__ import annotations

import base64
import textwrap
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.observing.memory import Memory
from reference_impl.dtypes import as_dtype

MOST_VALUES = 600  # of an array written out
MOST_CHARACTERS = 60_000  # of everything packed in one script
_WIDTH = 88

_HELPERS = {
    "unpacked": '''\
def unpacked(text, dtype, shape):
    """An array from its compressed bytes."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape).copy()
''',
    "laid_out": '''\
def laid_out(values, size, offset, strides, writeable):
    """The values in memory as they lay there when the failure was found."""
    memory = np.full(size, 77, values.dtype).view(np.uint8)
    view = np.ndarray(values.shape, values.dtype, memory, offset, strides)
    view[...] = values
    view.flags.writeable = writeable
    return view
''',
}
_MODULES = {"unpacked": ("import base64", "import zlib")}


@dataclass(slots=True)
class Literals:
    """Writes arrays, and keeps account of what the script then needs.

    Attributes:
        used: names of the helpers that what was written calls.
        bfloat16: whether it names that dtype.
        packed: characters of what was packed.
    """

    used: dict[str, None] = field(default_factory=dict)
    bfloat16: bool = False
    packed: int = 0

    @property
    def too_large(self) -> bool:
        """Whether the script should not hold so much."""
        return self.packed > MOST_CHARACTERS

    @property
    def imports(self) -> list[str]:
        """What the helpers and dtypes need."""
        lines = [line for name in self.used for line in _MODULES.get(name, ())]
        return [*lines, "import numpy as np", *(["import ml_dtypes"] if self.bfloat16 else [])]

    @property
    def helpers(self) -> list[str]:
        """The functions that what was written calls."""
        return [_HELPERS[name] for name in self.used]

    def values(self, array: NDArray[Any]) -> str:
        """An expression for the values of `array`."""
        if array.size and array.dtype != bool and (array == array.flat[0]).all():
            same = number(array.flat[0])
            return f"np.full({array.shape}, {same}, {self._dtype(array)})"
        if array.size <= MOST_VALUES:
            shape = "" if array.ndim == 1 else f".reshape({array.shape})"
            numbers = ", ".join(number(v) for v in array.ravel())
            return f"np.array([{numbers}], {self._dtype(array)}){shape}"
        return self._packed(array)

    def placed(self, array: NDArray[Any]) -> str:
        """An expression for `array`, in memory as it lies there."""
        values = self.values(np.ascontiguousarray(array).reshape(array.shape))
        memory = Memory.of(array)
        size = len(memory.content) // array.dtype.itemsize
        # Not c_contiguous, which leaves out axes of size 1.
        plain = array.strides == np.empty(array.shape, array.dtype).strides
        if plain and size == array.size and memory.writeable:
            return values
        if not size:
            return values
        self.used["laid_out"] = None
        return f"laid_out({values}, {size}, {memory.offset}, {memory.strides}, {memory.writeable})"

    def _packed(self, array: NDArray[Any]) -> str:
        self.used["unpacked"] = None
        data = np.ascontiguousarray(array)
        text = base64.b64encode(zlib.compress(data.tobytes(), 9)).decode("ascii")
        self.packed += len(text)
        lines = "\n".join(f'    "{line}"' for line in textwrap.wrap(text, _WIDTH))
        return f"unpacked(\n{lines},\n    {self._dtype(array)}, {array.shape},\n)"

    def _dtype(self, array: NDArray[Any]) -> str:
        if array.dtype == as_dtype("bfloat16"):
            self.bfloat16 = True
            return "ml_dtypes.bfloat16"
        return f'"{array.dtype.name}"'


def number(value: Any) -> str:
    """A number in as few digits as say it exactly."""
    if isinstance(value, np.bool_):
        return str(bool(value))
    real = float(value)
    if not np.isfinite(real):
        return f'float("{real}")'
    if real == int(real) and abs(real) < 1e15 and (real or not np.signbit(real)):
        return str(int(real))
    return repr(real)
