"""An array together with the memory it lies in, to be rebuilt in another process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.pickling import pickled_by_arguments
from reference_impl.dtypes import as_dtype

# Bound before any foreign code is imported, which may replace what NumPy holds.
_empty, _frombuffer, _ndarray, _uint8 = np.empty, np.frombuffer, np.ndarray, np.uint8


@pickled_by_arguments
@dataclass(frozen=True, slots=True)
class Memory:
    """A view and the whole array whose memory it shares.

    Attributes:
        dtype: name of the dtype of both.
        owner: shape of the array that owns the memory, in C order.
        content: its bytes.
        offset, shape, strides: of the view within it, in bytes.
        writeable: whether the view may be written to.
    """

    dtype: str
    owner: tuple[int, ...]
    content: bytes
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    writeable: bool = True

    @classmethod
    def of(cls, array: NDArray[Any]) -> Memory:
        """The memory of `array`, whose owner must be in C order."""
        owner = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        if not owner.flags.c_contiguous or owner.dtype != array.dtype:
            raise ValueError(f"the owner of an array of shape {array.shape} is not in C order")
        start = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
        return cls(
            dtype=array.dtype.name,
            owner=owner.shape,
            content=owner.tobytes(),
            offset=start,
            shape=array.shape,
            strides=array.strides,
            writeable=array.flags.writeable,
        )

    def rebuilt(self) -> Rebuilt:
        """A copy of owner and view in fresh memory."""
        dtype = as_dtype(self.dtype)
        owner = _empty(self.owner, dtype)
        if owner.size == 0:
            return Rebuilt(self, owner, _empty(self.shape, dtype))
        bits = owner.view(f"u{dtype.itemsize}")
        bits[...] = _frombuffer(self.content, bits.dtype).reshape(self.owner)
        view = _ndarray(self.shape, bits.dtype, bits, self.offset, self.strides).view(dtype)
        view.flags.writeable = self.writeable
        return Rebuilt(self, owner, view)

    def array(self, content: bytes | None = None) -> NDArray[Any]:
        """The view on `content`, as it was or as it came back."""
        memory = self if content is None else self._with(content)
        return memory.rebuilt().view

    def _with(self, content: bytes) -> Memory:
        return replace(self, content=content)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """An array in fresh memory, for one who may change it.

    Attributes:
        memory: what it was made from.
        owner, view: the array that owns the memory, and the one that is handed over.
    """

    memory: Memory
    owner: NDArray[Any]
    view: NDArray[Any]

    def changed(self) -> bytes | None:
        """The bytes of the owner if they are others than they were."""
        now = self.owner.tobytes()
        return None if now == self.memory.content else now
