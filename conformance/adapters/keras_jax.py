"""Real ``keras.layers.Conv2D`` on the JAX backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from conformance.adapters.jax_lax import ENVIRONMENT, SHAPES_KEPT
from conformance.adapters.keras_layer import Keras
from conformance.capabilities import Capabilities
from conformance.case import Case

WITH_64_BITS = {**ENVIRONMENT, "JAX_ENABLE_X64": "1"}


class KerasJax(Keras):
    """Called eagerly, with the 64-bit types that JAX leaves out unless asked."""

    name = "keras-jax"
    summary = "Keras' layer on the JAX backend."
    requires = distributions = ("keras", "jax")
    extra = "keras-jax"
    backend = "jax"
    engine = "JAX"
    environment = WITH_64_BITS
    capabilities = Capabilities(flushes_subnormals=True)
    _layers = 0

    def setup(self) -> None:
        """Import Keras and JAX with one thread for this process."""
        super().setup()
        import jax

        jax.config.update("jax_enable_x64", True)
        self._jax: Any = jax

    def build(self, case: Case, weights: Sequence[NDArray[Any]]) -> Any:
        self._layers += 1
        if self._layers % SHAPES_KEPT == 0:
            self._jax.clear_caches()
        # The random weights that a layer starts with are replaced: compiling them takes seconds for
        # each shape, and a tenth of that without optimizations. What a call compiles has them.
        self._jax.config.update("jax_disable_most_optimizations", True)
        try:
            return super().build(case, weights)
        finally:
            self._jax.config.update("jax_disable_most_optimizations", False)
