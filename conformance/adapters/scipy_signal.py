"""``scipy.signal``, one plane at a time: ``correlate2d``, and ``fftconvolve``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.capabilities import Capabilities
from conformance.implementations.adapter import Adapter
from reference_impl.geometry import Geometry, Pair, effective_size


class SciPy(Adapter):
    """Sums of ``correlate2d`` over the channels.

    ``same`` is SciPy's own at stride 1. It has no strides and no dilation: results are thinned out,
    and zeros put between the taps.
    """

    name = "scipy"
    summary = "scipy.signal.correlate2d."
    requires = distributions = ("scipy",)
    extra = "scipy"
    capabilities = Capabilities(dtypes=("float32", "float64"), strides_with_dilation=True)
    has_same = True  # whether its own ``same`` is that of Keras

    def setup(self) -> None:
        """Import SciPy."""
        import scipy
        from scipy import signal

        self._signal: Any = signal
        self.version = f"SciPy {scipy.__version__}"

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
        g = Geometry.of(
            x.shape,
            kernel.shape,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
        )
        first = data_format == "channels_first"
        planes = x if first else x.transpose(0, 3, 1, 2)
        if max(strides) > 1 or not self.has_same:
            planes, padding = np.pad(planes, ((0, 0), (0, 0), *g.pads)), "valid"
        taps = _dilated(kernel, dilation_rate)
        depth, per_group = kernel.shape[2], g.filters // groups
        result = np.zeros((g.batch, g.filters, *g.output), x.dtype)
        for n, f in np.ndindex(g.batch, g.filters):
            start = f // per_group * depth
            for c in range(depth):
                plane = self._correlated(planes[n, start + c], taps[:, :, c, f], padding)
                result[n, f] += plane[:: strides[0], :: strides[1]]
        if bias is not None:
            result += bias[:, None, None]
        return result if first else result.transpose(0, 2, 3, 1)

    def _correlated(self, plane: NDArray[Any], taps: NDArray[Any], mode: str) -> NDArray[Any]:
        correlated: NDArray[Any] = self._signal.correlate2d(plane, taps, mode)
        return correlated


class SciPyFFT(SciPy):
    """The same through ``fftconvolve``, whose ``same`` begins elsewhere for even kernels."""

    name = "scipy-fft"
    summary = "scipy.signal.fftconvolve."
    capabilities = Capabilities(
        dtypes=("float32", "float64"), strides_with_dilation=True, algorithm="fft"
    )
    has_same = False

    def _correlated(self, plane: NDArray[Any], taps: NDArray[Any], mode: str) -> NDArray[Any]:
        convolved: NDArray[Any] = self._signal.fftconvolve(plane, taps[::-1, ::-1], mode)
        return convolved


def _dilated(kernel: NDArray[Any], rate: Pair) -> NDArray[Any]:
    """The kernel with ``rate - 1`` zeros between its taps."""
    kh, kw, *rest = kernel.shape
    taps = np.zeros((effective_size(kh, rate[0]), effective_size(kw, rate[1]), *rest), kernel.dtype)
    taps[:: rate[0], :: rate[1]] = kernel
    return taps
