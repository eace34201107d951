"""The ONNX operator ``Conv`` in ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.capabilities import Capabilities
from conformance.errors import Unsupported
from conformance.implementations.adapter import Adapter
from reference_impl.geometry import Pair

OPSET = 11  # Conv has not changed since, but for the types that opset 22 adds
AUTO_PAD = {"valid": "VALID", "same": "SAME_UPPER"}


class OnnxRuntime(Adapter):
    """A model of one node whose weights are constants, with the runtime's own ``SAME_UPPER``."""

    name = "onnxruntime"
    summary = "The Conv operator of ONNX Runtime."
    requires = ("onnxruntime", "onnx")
    distributions = ("onnxruntime",)
    extra = "onnxruntime"
    capabilities = Capabilities(
        dtypes=("float32", "float16"), data_formats="channels_first", strides_with_dilation=True
    )

    def setup(self) -> None:
        """Import ONNX and its runtime, with one thread for this process."""
        import onnx
        import onnxruntime

        self._onnx: Any = onnx
        self._runtime: Any = onnxruntime
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = self._options.inter_op_num_threads = 1
        self._options.log_severity_level = 4  # what it logs, it raises too
        self.version = f"ONNX Runtime {onnxruntime.__version__}, ONNX {onnx.__version__}"

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
        """The convolution, in the dtype and layout of `x`.

        Raises:
            Unsupported: the runtime has no dilation with ``SAME_UPPER``.
        """
        weights = {"w": kernel.transpose(3, 2, 0, 1)}
        if bias is not None:
            weights["b"] = bias
        model = self._model(
            x,
            weights,
            strides=strides,
            auto_pad=AUTO_PAD[padding],
            dilations=dilation_rate,
            group=groups,
        )
        session = self._runtime.InferenceSession(
            model, self._options, providers=["CPUExecutionProvider"]
        )
        try:
            (result,) = session.run(None, {"x": np.ascontiguousarray(x)})
        except self._runtime.capi.onnxruntime_pybind11_state.InvalidArgument as error:
            *_, words = str(error).partition("Status Message: ")
            if words.startswith("Dilation not supported"):
                raise Unsupported(words) from None
            raise
        return np.array(result)

    def _model(self, x: NDArray[Any], weights: dict[str, NDArray[Any]], **attributes: Any) -> bytes:
        helper, numpy_helper = self._onnx.helper, self._onnx.numpy_helper
        element = helper.np_dtype_to_tensor_dtype(x.dtype)
        graph = helper.make_graph(
            [helper.make_node("Conv", ["x", *weights], ["y"], **attributes)],
            "conv2d",
            [helper.make_tensor_value_info("x", element, x.shape)],
            [helper.make_tensor_value_info("y", element, None)],
            [numpy_helper.from_array(np.ascontiguousarray(w), n) for n, w in weights.items()],
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model_gen_version(graph, opset_imports=[opset])
        content: bytes = model.SerializeToString()
        return content
