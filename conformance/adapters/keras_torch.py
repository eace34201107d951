"""Real ``keras.layers.Conv2D`` on the PyTorch backend."""

from __future__ import annotations

from conformance.adapters.keras_layer import Keras
from conformance.capabilities import Capabilities


class KerasTorch(Keras):
    """Called eagerly."""

    name = "keras-torch"
    summary = "Keras' layer on the PyTorch backend."
    requires = distributions = ("keras", "torch")
    extra = "keras-torch"
    backend = "torch"
    engine = "PyTorch"
    capabilities = Capabilities(flushes_subnormals=True)

    def setup(self) -> None:
        """Import Keras and PyTorch with one thread for this process."""
        super().setup()
        import torch

        torch.set_num_threads(1)
