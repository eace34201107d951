"""The operations ``Convolution`` and ``GroupConvolution`` of OpenVINO on the CPU."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.capabilities import Capabilities
from conformance.implementations.adapter import Adapter
from reference_impl.geometry import Pair

AUTO_PAD = {"valid": "valid", "same": "same_upper"}
# On processors with bfloat16 instructions OpenVINO would otherwise compute float32 in bfloat16.
PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}


class OpenVINO(Adapter):
    """A model whose weights are constants, with OpenVINO's own ``same_upper``."""

    name = "openvino"
    summary = "The Convolution operation of OpenVINO."
    requires = distributions = ("openvino",)
    extra = "openvino"
    capabilities = Capabilities(
        data_formats="channels_first",
        strides_with_dilation=True,
        accumulation="float32",
        flushes_subnormals=True,
    )
    costly_calls = True

    def setup(self) -> None:
        """Import OpenVINO with one thread for this process."""
        import openvino
        from openvino import opset13

        self._openvino: Any = openvino
        self._operations: Any = opset13
        self._core: Any = openvino.Core()
        self._core.set_property("CPU", PROPERTIES)
        self._types = {
            "float32": openvino.Type.f32,
            "float64": openvino.Type.f64,
            "float16": openvino.Type.f16,
            "bfloat16": openvino.Type.bf16,
        }
        self.version = f"OpenVINO {version('openvino')}"

    def conv2d(
        self,
        x: NDArray[Any],
        kernel: NDArray[Any],
        bias: NDArray[Any] | None = None,
        *,
        strides: Pair,
        padding: str,
        data_format: str,
        dilation_rate: Pair,
        groups: int,
    ) -> NDArray[Any]:
        """The convolution, in the dtype and layout of `x`."""
        operations = self._operations
        weights, operation = kernel.transpose(3, 2, 0, 1), operations.convolution
        if groups > 1:
            per_group = kernel.shape[3] // groups
            weights = weights.reshape(groups, per_group, *weights.shape[1:])
            operation = operations.group_convolution
        given = operations.parameter(list(x.shape), self._types[x.dtype.name])
        none = [0, 0]
        result = operation(
            given, self._constant(weights), strides, none, none, dilation_rate, AUTO_PAD[padding]
        )
        if bias is not None:
            result = operations.add(result, self._constant(bias.reshape(1, -1, 1, 1)))
        compiled = self._core.compile_model(self._openvino.Model([result], [given]), "CPU")
        output: NDArray[Any] = compiled(self._tensor(x))[0]
        return output.view(x.dtype)

    def _constant(self, array: NDArray[Any]) -> Any:
        return self._operations.constant(self._tensor(array))

    def _tensor(self, array: NDArray[Any]) -> Any:
        tensor = self._openvino.Tensor(self._types[array.dtype.name], list(array.shape))
        tensor.data[...] = np.ascontiguousarray(array).view(tensor.data.dtype)
        return tensor
