"""Real ``keras.layers.Conv2D`` on the OpenVINO backend."""

from __future__ import annotations

from conformance.capabilities import Capabilities
from conformance.implementations.keras import Keras


class KerasOpenVINO(Keras):
    """Called eagerly: Keras compiles a model of the call when its values are asked for."""

    name = "keras-openvino"
    backend = "openvino"
    engine = "OpenVINO"
    distribution = "openvino"
    capabilities = Capabilities(accumulation="float32", flushes_subnormals=True)
