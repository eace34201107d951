"""What the adapters of Keras share: one backend in this process, one thread, no GPU."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from numpy.typing import NDArray

from conformance.case import Case
from conformance.errors import UsageError
from conformance.implementations.adapter import Adapter
from conformance.implementations.info import Reproducer

ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1"}


class Keras(Adapter):
    """Keras' own layer. Initializers hand the weights over: cheaper than assigning them later.

    Attributes:
        backend: as in ``KERAS_BACKEND``, which is also what it is installed as.
        engine: what the backend is called in the report.
        environment: further variables, set before Keras is imported.
    """

    backend: str
    engine: str
    environment: Mapping[str, str] = {}
    costly_calls = True

    def setup(self) -> None:
        """Import Keras with one thread for this process.

        Raises:
            UsageError: Keras was already imported with another backend.
        """
        os.environ.update({**ENVIRONMENT, **self.environment, "KERAS_BACKEND": self.backend})
        import keras

        if keras.config.backend() != self.backend:
            raise UsageError(
                f"{self.name} needs the {self.engine} backend, but Keras was imported with "
                f"{keras.config.backend()!r}; set KERAS_BACKEND={self.backend}"
            )
        keras.config.disable_traceback_filtering()  # raw messages, not wrapped ones
        self._keras: Any = keras
        self.version = f"Keras {keras.__version__}, {self.engine} {version(self.backend)}"

    def layer(self, **arguments: Any) -> Any:
        """``keras.layers.Conv2D`` with these arguments."""
        return self._keras.layers.Conv2D(**arguments)

    def build(self, case: Case, weights: Sequence[NDArray[Any]]) -> Any:
        arguments = case.layer_arguments()
        for name, values in zip(("kernel_initializer", "bias_initializer"), weights, strict=False):
            arguments[name] = lambda shape, dtype=None, values=values: values
        layer = self.layer(**arguments)
        layer.build(case.input_shape)
        return layer

    def reproducer(self, target: str) -> Reproducer:
        """Keras itself, on the backend."""
        needed = {"KERAS_BACKEND": self.backend, **self.environment}
        return Reproducer(
            imports=("import os", "", f"os.environ.update({json.dumps(needed)})", "import keras"),
            made_by="keras.layers.Conv2D",
            array="keras.ops.convert_to_numpy",
        )

    def to_numpy(self, result: Any) -> NDArray[Any]:
        """The result as an array, by Keras' own conversion for a tensor of the backend."""
        if self._keras.ops.is_tensor(result):
            converted: NDArray[Any] = self._keras.ops.convert_to_numpy(result)
            return converted
        return super().to_numpy(result)
