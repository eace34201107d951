"""Real ``keras.layers.Conv2D`` on the PyTorch backend."""

from __future__ import annotations

from conformance.capabilities import Capabilities
from conformance.implementations.keras import Keras


class KerasTorch(Keras):
    """Called eagerly."""

    name = "keras-torch"
    backend = "torch"
    engine = "PyTorch"
    distribution = "torch"
    capabilities = Capabilities(flushes_subnormals=True)

    def setup(self) -> None:
        """Import Keras and PyTorch with one thread for this process."""
        super().setup()
        import torch

        torch.set_num_threads(1)
