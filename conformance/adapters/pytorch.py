"""``torch.nn.functional.conv2d`` on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.capabilities import Capabilities
from conformance.implementations.adapter import Adapter
from reference_impl.dtypes import as_dtype
from reference_impl.geometry import Geometry, Pair

BFLOAT16 = as_dtype("bfloat16")


class Torch(Adapter):
    """PyTorch's function; ``channels_last`` is its memory format of that name.

    ``same`` is its own at stride 1. Elsewhere it has none, and Keras' zeros are put around the
    input first.
    """

    name = "torch"
    summary = "torch.nn.functional.conv2d."
    requires = distributions = ("torch",)
    extra = "torch"
    capabilities = Capabilities(strides_with_dilation=True, flushes_subnormals=True, gradients=True)

    def setup(self) -> None:
        """Import PyTorch with one thread for this process."""
        import torch

        torch.set_num_threads(1)
        self._torch: Any = torch
        self.version = f"PyTorch {torch.__version__}"

    def conv2d(
        self, x: NDArray[Any], kernel: NDArray[Any], bias: NDArray[Any] | None = None, **how: Any
    ) -> NDArray[Any]:
        """The convolution, in the dtype and layout of `x`."""
        b = None if bias is None else self._tensor(bias)
        return self._array(self._convolved(self._tensor(x), self._tensor(kernel), b, **how))

    def gradients(
        self,
        x: NDArray[Any],
        kernel: NDArray[Any],
        bias: NDArray[Any] | None,
        upstream: NDArray[Any],
        **how: Any,
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """The gradients of autograd with respect to x, kernel and bias."""
        leaves = [self._tensor(a).requires_grad_() for a in (x, kernel, bias) if a is not None]
        result = self._convolved(*leaves, **how)
        found = self._torch.autograd.grad(result, leaves, self._tensor(upstream))
        dx, dkernel, *dbias = map(self._array, found)
        return dx, dkernel, dbias[0] if dbias else None

    def _convolved(
        self,
        x: Any,
        kernel: Any,
        bias: Any = None,
        *,
        strides: Pair,
        padding: str,
        data_format: str,
        dilation_rate: Pair,
        groups: int,
    ) -> Any:
        functional = self._torch.nn.functional
        last = data_format == "channels_last"
        if last:
            x = x.permute(0, 3, 1, 2).to(memory_format=self._torch.channels_last)
        if padding == "same" and max(strides) > 1:
            (top, bottom), (left, right) = Geometry.of(
                x.shape,
                kernel.shape,
                strides=strides,
                padding=padding,
                data_format="channels_first",
                dilation_rate=dilation_rate,
                groups=groups,
            ).pads
            x, padding = functional.pad(x, (left, right, top, bottom)), "valid"
        weight = kernel.permute(3, 2, 0, 1).contiguous()
        result = functional.conv2d(x, weight, bias, strides, padding, dilation_rate, groups)
        return result.permute(0, 2, 3, 1) if last else result

    def _tensor(self, array: NDArray[Any]) -> Any:
        """A tensor on the memory of `array`, or of a copy where PyTorch takes none as it is."""
        if min(array.strides) < 0 or not array.flags.writeable:
            array = array.copy()
        if array.dtype == BFLOAT16:
            return self._torch.from_numpy(array.view(np.int16)).view(self._torch.bfloat16)
        return self._torch.from_numpy(array)

    def _array(self, tensor: Any) -> NDArray[Any]:
        tensor = tensor.detach()
        if tensor.dtype == self._torch.bfloat16:
            bits: NDArray[Any] = tensor.view(self._torch.int16).numpy()
            return bits.view(BFLOAT16)
        array: NDArray[Any] = tensor.numpy()
        return array
