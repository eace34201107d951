"""The adapters that ship with the suite, by name."""

from __future__ import annotations

import importlib

from conformance.implementations.adapter import Adapter

# Where each adapter is: importing its module imports nothing of its engine.
ADAPTERS = {
    "keras-tensorflow": "conformance.adapters.keras_tensorflow:KerasTensorFlow",
    "keras-tensorflow-eigen": "conformance.adapters.keras_tensorflow:KerasTensorFlowEigen",
    "keras-tensorflow-graph": "conformance.adapters.keras_tensorflow:KerasTensorFlowGraph",
    "keras-tensorflow-xla": "conformance.adapters.keras_tensorflow:KerasTensorFlowXLA",
    "keras-tensorflow-predict": "conformance.adapters.keras_tensorflow:KerasTensorFlowPredict",
    "keras-tensorflow-sequential": (
        "conformance.adapters.keras_tensorflow:KerasTensorFlowSequential"
    ),
    "keras-tensorflow-functional": (
        "conformance.adapters.keras_tensorflow:KerasTensorFlowFunctional"
    ),
    "keras-jax": "conformance.adapters.keras_jax:KerasJax",
    "keras-torch": "conformance.adapters.keras_torch:KerasTorch",
    "keras-openvino": "conformance.adapters.keras_openvino:KerasOpenVINO",
    "torch": "conformance.adapters.pytorch:Torch",
    "jax": "conformance.adapters.jax_lax:Jax",
    "onnxruntime": "conformance.adapters.onnx_runtime:OnnxRuntime",
    "openvino": "conformance.adapters.openvino_convolution:OpenVINO",
    "litert": "conformance.adapters.litert:LiteRT",
    "scipy": "conformance.adapters.scipy_signal:SciPy",
    "scipy-fft": "conformance.adapters.scipy_signal:SciPyFFT",
    "reference": "conformance.adapters.reference:Reference",
}


def adapter_of(name: str) -> type[Adapter]:
    """The class of the adapter called `name`."""
    module, _, attribute = ADAPTERS[name].partition(":")
    kind: type[Adapter] = getattr(importlib.import_module(module), attribute)
    return kind
