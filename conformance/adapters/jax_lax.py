"""``jax.lax.conv_general_dilated`` on the CPU."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.capabilities import Capabilities
from conformance.implementations.adapter import Adapter
from reference_impl.geometry import Pair

ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
# Each shape leaves one to three megabytes of compiled code behind.
SHAPES_KEPT = 100


class Jax(Adapter):
    """JAX's convolution with its own ``SAME`` and ``VALID``, compiled for each shape."""

    name = "jax"
    summary = "jax.lax.conv_general_dilated."
    requires = distributions = ("jax",)
    extra = "jax"
    capabilities = Capabilities(strides_with_dilation=True, flushes_subnormals=True, gradients=True)
    costly_calls = True
    _calls = 0

    def setup(self) -> None:
        """Import JAX with one thread and 64-bit types for this process."""
        os.environ.update(ENVIRONMENT)
        import jax

        self._jax: Any = jax
        self._jax.config.update("jax_enable_x64", True)
        static = ("strides", "padding", "data_format", "dilation_rate", "groups")
        self._compiled: Any = self._jax.jit(self._convolved, static_argnames=static)
        self.version = f"JAX {jax.__version__}"

    def conv2d(
        self, x: NDArray[Any], kernel: NDArray[Any], bias: NDArray[Any] | None = None, **how: Any
    ) -> NDArray[Any]:
        """The convolution, in the dtype and layout of `x`."""
        self._count()
        return np.array(self._compiled(x, kernel, bias, **how))

    def gradients(
        self,
        x: NDArray[Any],
        kernel: NDArray[Any],
        bias: NDArray[Any] | None,
        upstream: NDArray[Any],
        **how: Any,
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """The gradients of ``jax.vjp`` with respect to x, kernel and bias."""
        self._count()
        primals = [a for a in (x, kernel, bias) if a is not None]
        _, backward = self._jax.vjp(lambda *a: self._compiled(*a, **how), *primals)
        dx, dkernel, *dbias = map(np.array, backward(upstream))
        return dx, dkernel, dbias[0] if dbias else None

    def _count(self) -> None:
        self._calls += 1
        if self._calls % SHAPES_KEPT == 0:
            self._jax.clear_caches()

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
        layout = "NHWC" if data_format == "channels_last" else "NCHW"
        result = self._jax.lax.conv_general_dilated(
            x,
            kernel,
            strides,
            padding.upper(),
            rhs_dilation=dilation_rate,
            dimension_numbers=(layout, "HWIO", layout),
            feature_group_count=groups,
        )
        if bias is None:
            return result
        return result + (bias if layout == "NHWC" else bias[:, None, None])
