"""Real ``keras.layers.Conv2D`` on the OpenVINO backend."""

from __future__ import annotations

from conformance.adapters.keras_layer import Keras
from conformance.adapters.keras_lives import TRAINING, WAYS
from conformance.capabilities import Capabilities


class KerasOpenVINO(Keras):
    """Called eagerly: Keras compiles a model of the call when its values are asked for."""

    name = "keras-openvino"
    summary = "Keras' layer on the OpenVINO backend."
    requires = distributions = ("keras", "openvino")
    extra = "keras-openvino"
    backend = "openvino"
    engine = "OpenVINO"
    capabilities = Capabilities(accumulation="float32", flushes_subnormals=True)
    modes = tuple(way for way in WAYS if way not in TRAINING)  # Keras has no `fit` on OpenVINO
