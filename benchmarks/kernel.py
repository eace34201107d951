"""How fast the reference convolution is, as ratios to other programs in the same process.

Three ways through the reference are timed on each layer: its value pass (`accumulate` on float32,
certificate left out), `conv2d` on float32 (certified) and `conv2d` on float64 (double-double,
certified). They start from NHWC arrays as a caller has them; padding and packing are counted. The
others get float64 operands made beforehand, in their own layout, and torch padded ones at that:

* tf: ``tf.nn.conv2d``, or ``depthwise_conv2d``, eagerly;
* torch: ``torch.nn.functional.conv2d`` on NCHW, if torch is installed;
* im2col: NumPy windows copied into a matrix and multiplied by BLAS;
* windows: the same with the dilated kernel written out, zeros included, as Keras' tests do it;
* scipy: ``scipy.signal.correlate``, direct, on small layers without groups, if installed.

All take turns in every round, one thread each, and the best round of each counts. Their results
are compared first. The peak is that of one core: independent float64 fused multiply-adds in
registers, compiled here by the system's C compiler; without one the shares of it are left out.
Run it with ``tox run -e bench``.
"""

from __future__ import annotations

import os

os.environ.update(
    dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
        "1",
    ),
    TF_NUM_INTRAOP_THREADS="1",
    TF_NUM_INTEROP_THREADS="1",
    TF_CPP_MIN_LOG_LEVEL="3",
)

import argparse
import contextlib
import ctypes
import math
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.data import arrays
from conformance.plan import plan
from reference_impl.certificate import Certificate
from reference_impl.convolution import accumulate, active_path, conv2d, conv2d_certified
from reference_impl.dtypes import FLOATS, as_dtype
from reference_impl.geometry import Geometry, Pair

Array = NDArray[Any]
Call = Callable[[], Any]
REFERENCE = ("value", "certified", "double-double")
OTHERS = ("tf", "torch", "im2col", "windows", "scipy")
LEAST_SECONDS = 0.005  # of one turn: short calls are repeated
SCIPY_MFLOP = 5.0
PEAK_SOURCE = """
#if defined(__AVX512F__)
  #define LANES 8
#elif defined(__AVX__)
  #define LANES 4
#else
  #define LANES 2
#endif
#define CHAINS 12
typedef double lanes __attribute__((vector_size(8 * LANES)));
int flops_a_turn(void) { return 2 * CHAINS * LANES; }
double turns(long count, double factor, double term) {
    lanes sum[CHAINS], total = {0}, f = total + factor, t = total + term;
    for (int i = 0; i < CHAINS; i++) sum[i] = total + i;
    for (long n = 0; n < count; n++)
        for (int i = 0; i < CHAINS; i++) sum[i] = sum[i] * f + t;
    for (int i = 0; i < CHAINS; i++) total += sum[i];
    return total[0];
}
"""
PEAK_FLAGS = ("-O3", "-ffp-contract=fast", "-shared", "-fPIC")
PEAK_TURNS = 500_000


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution of the table; padding is ``same``, there is no bias."""

    name: str
    x: tuple[int, int, int, int]
    kernel_size: int
    filters: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1

    @property
    def kernel(self) -> tuple[int, int, int, int]:
        return self.kernel_size, self.kernel_size, self.x[3] // self.groups, self.filters

    @property
    def strides(self) -> Pair:
        return self.stride, self.stride

    @property
    def dilation_rate(self) -> Pair:
        return self.dilation, self.dilation

    @property
    def geometry(self) -> Geometry:
        return Geometry.of(self.x, self.kernel, data_format="channels_last", **self.arguments)

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "padding": "same",
        }

    @property
    def mflop(self) -> float:
        """Two for each product, those with the padding included."""
        return 2e-6 * math.prod(self.geometry.output_shape) * self.geometry.taps

    @property
    def is_large(self) -> bool:
        """Whether the layer counts where the loop alone is judged."""
        return self.mflop >= 100 and self.filters // self.groups >= 8

    def operands(self, dtype: str) -> tuple[Array, Array]:
        rng = np.random.default_rng(0)
        x, kernel = rng.standard_normal(self.x), rng.standard_normal(self.kernel)
        return x.astype(as_dtype(dtype)), kernel.astype(as_dtype(dtype))


LAYERS = (
    Layer("1x1x1x1", (1, 1, 1, 1), 1, 1),
    Layer("2x8x8x3 k3 f4", (2, 8, 8, 3), 3, 4),
    Layer("2x16x16x8 k5 d2 f8", (2, 16, 16, 8), 5, 8, dilation=2),
    Layer("R1 224x224x3 k7 s2 f64", (1, 224, 224, 3), 7, 64, stride=2),
    Layer("R2 56x56x64 k3 f64", (1, 56, 56, 64), 3, 64),
    Layer("R3 8x28x28x128 k3 f128", (8, 28, 28, 128), 3, 128),
    Layer("R4 200x200x1 k2 s2 f16", (1, 200, 200, 1), 2, 16, stride=2),
    Layer("R5 56x56x64 k1 f256", (1, 56, 56, 64), 1, 256),
    Layer("R6 112x112x32 k3 g32", (1, 112, 112, 32), 3, 32, groups=32),
    Layer("R7 56x56x64 k3 d2 f64", (1, 56, 56, 64), 3, 64, dilation=2),
)


# What is timed ------------------------------------------------------------------------------------


def calls(layer: Layer) -> dict[str, Call]:
    """Every program that can run `layer`, by name; each call returns NHWC, or NCHW for torch."""
    single, double = layer.operands("float32"), layer.operands("float64")
    found: dict[str, Call] = {
        "value": lambda: accumulate(*single, **layer.arguments).value,
        "certified": lambda: conv2d(*single, **layer.arguments),
        "double-double": lambda: conv2d(*double, **layer.arguments),
        "im2col": lambda: by_matrix(layer, *double, layer.dilation_rate),
        "windows": lambda: by_matrix(layer, double[0], inflated(layer, double[1]), (1, 1)),
    }
    for name, make in (("tf", tf_call), ("torch", torch_call), ("scipy", scipy_call)):
        try:
            call = make(layer, *double)
        except ImportError:
            continue
        if call is not None:
            found[name] = call
    return found


def by_matrix(layer: Layer, x: Array, kernel: Array, dilation: Pair) -> Array:
    """The windows of `x` copied into a matrix for each group, times the kernel as a matrix."""
    g = layer.geometry
    kh, kw, depth, filters = kernel.shape
    (sh, sw), (dh, dw) = layer.strides, dilation
    wide = np.pad(x, ((0, 0), *g.pads, (0, 0)))
    extent = (kh - 1) * dh + 1, (kw - 1) * dw + 1
    windows = np.lib.stride_tricks.sliding_window_view(wide, extent, (1, 2))
    windows = windows[:, ::sh, ::sw, :, ::dh, ::dw].transpose(0, 1, 2, 4, 5, 3)
    each = filters // g.groups
    parts = []
    for group in range(g.groups):
        own = windows[..., group * depth : (group + 1) * depth].reshape(-1, kh * kw * depth)
        weights = kernel[..., group * each : (group + 1) * each].reshape(-1, each)
        parts.append(own @ weights)
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    return whole.reshape(g.output_shape)


def inflated(layer: Layer, kernel: Array) -> Array:
    """`kernel` with the zeros that dilation leaves out."""
    d, extent = layer.dilation, (layer.kernel_size - 1) * layer.dilation + 1
    wide = np.zeros((extent, extent, *kernel.shape[2:]), kernel.dtype)
    wide[::d, ::d] = kernel
    return wide


def tf_call(layer: Layer, x: Array, kernel: Array) -> Call:
    import tensorflow as tf

    given = tf.constant(x)
    if layer.groups > 1:
        weights = tf.constant(kernel.transpose(0, 1, 3, 2))  # one filter for each channel
        strides = [1, *layer.strides, 1]
        return lambda: tf.nn.depthwise_conv2d(given, weights, strides, "SAME")
    weights = tf.constant(kernel)
    return lambda: tf.nn.conv2d(given, weights, layer.strides, "SAME", dilations=layer.dilation)


def torch_call(layer: Layer, x: Array, kernel: Array) -> Call:
    import torch

    torch.set_num_threads(1)
    wide = layer.geometry.padded(x).transpose(0, 3, 1, 2)
    given = torch.from_numpy(np.ascontiguousarray(wide))
    weights = torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
    strides, dilation, groups = layer.strides, layer.dilation_rate, layer.groups
    convolve = torch.nn.functional.conv2d
    return lambda: convolve(given, weights, None, strides, 0, dilation, groups)


def scipy_call(layer: Layer, x: Array, kernel: Array) -> Call | None:
    from scipy.signal import correlate

    if layer.groups > 1 or layer.mflop > SCIPY_MFLOP:
        return None
    sh, sw = layer.strides
    wide = layer.geometry.padded(x)
    weights = inflated(layer, kernel)

    def call() -> Array:
        images = [
            [correlate(image, weights[..., f], "valid", "direct")[::sh, ::sw, 0] for image in wide]
            for f in range(layer.filters)
        ]
        return np.moveaxis(np.array(images), 0, -1)

    return call


def compare(layer: Layer, found: dict[str, Call]) -> None:
    """Refuse to time programs whose results differ."""
    exact = found["double-double"]()
    size = np.abs(exact).max()
    for name, call in found.items():
        result = np.asarray(call())
        result = result.transpose(0, 2, 3, 1) if name == "torch" else result
        allowed = 1e-4 if name in ("value", "certified") else 1e-11
        if result.shape != exact.shape or np.abs(result - exact).max() > allowed * size:
            raise SystemExit(f"{name} computes something else on {layer.name}")


# The peak of a core -------------------------------------------------------------------------------


class Peak:
    """The fused multiply-adds of one core, for one set of compiler flags."""

    def __init__(self, compiler: list[str], folder: str, *flags: str) -> None:
        source, library = Path(folder, "peak.c"), Path(folder, f"peak{'_'.join(flags)}.so")
        source.write_text(PEAK_SOURCE)
        words = [*compiler, *PEAK_FLAGS, *flags, str(source), "-o", str(library)]
        subprocess.run(words, check=True, capture_output=True)
        loop = ctypes.CDLL(str(library))
        loop.turns.restype = ctypes.c_double
        loop.turns.argtypes = [ctypes.c_long, ctypes.c_double, ctypes.c_double]
        self.mflop = loop.flops_a_turn() * PEAK_TURNS * 1e-6
        self.call: Call = lambda: loop.turns(PEAK_TURNS, 0.5, 1.0)


def peaks(folder: str) -> dict[str, Peak]:
    """The peak with all this processor has, and, where it has AVX-512, without that."""
    words = shlex.split(sysconfig.get_config_var("CC") or "cc")
    compiler = next((w for w in (words, ["cc"], ["gcc"]) if shutil.which(w[0])), None)
    found: dict[str, Peak] = {}
    if not compiler:
        return found
    for name, flags in (("FMA peak", []), ("AVX2 peak", ["-mno-avx512f"])):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            peak = Peak(compiler, folder, "-march=native", *flags)
            if all(peak.mflop != other.mflop for other in found.values()):
                found[name] = peak
    return found


# Timing -------------------------------------------------------------------------------------------


def seconds(call: Call, repeats: int = 1) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - began) / repeats


def best(found: dict[Any, Call], rounds: int) -> dict[Any, float]:
    """Least seconds of one call of each, all of them taking turns."""
    first = {key: min(seconds(call) for _ in range(3)) for key, call in found.items()}
    repeats = {key: max(1, math.ceil(LEAST_SECONDS / taken)) for key, taken in first.items()}
    least = dict.fromkeys(found, math.inf)
    for _ in range(rounds):
        for key, call in found.items():
            least[key] = min(least[key], seconds(call, repeats[key]))
    return least


def certified_cases(count: int, rounds: int) -> float:
    """Certified float32 cases of a campaign in one second, their arrays made beforehand."""
    work: list[Call] = []
    for planned in plan(0):
        work.extend(case_call(c) for c in planned.example if c.compute_dtype == "float32")
        if len(work) >= count:
            break
    del work[count:]
    return count / best({0: lambda: [call() for call in work]}, rounds)[0]


def case_call(case: Any) -> Call:
    data = arrays(case)
    return lambda: conv2d(
        data.x,
        data.kernel,
        data.bias,
        strides=case.geometry.strides,
        padding=case.geometry.padding,
        data_format=case.geometry.data_format,
        dilation_rate=case.geometry.dilation_rate,
        groups=case.geometry.groups,
    )


def certificates(layers: Iterable[Layer], dtype: str) -> NDArray[np.intp]:
    """How many elements each `Certificate` decided, on normal data."""
    counts = np.zeros(len(Certificate), np.intp)
    for layer in layers:
        how = conv2d_certified(*layer.operands(dtype), **layer.arguments).certificate
        counts += np.bincount(how.ravel(), minlength=len(Certificate))
    return counts


# What is printed ----------------------------------------------------------------------------------

Times = dict[tuple[str, str], float]  # (layer, program): seconds


def mean(values: Iterable[float]) -> float:
    """The geometric mean."""
    return math.exp(np.mean(np.log(list(values))))


def print_times(layers: list[Layer], times: Times, peak: float | None) -> None:
    print(f"\n{'reference, us (GF/s, % of peak)':<26}" + "".join(f"{n:>22}" for n in REFERENCE))
    for layer in layers:
        cells = []
        for name in REFERENCE:
            taken = times[layer.name, name]
            rate = layer.mflop * 1e-3 / taken
            share = "" if peak is None else f", {rate / peak:3.0%}"
            cells.append(f"{taken * 1e6:.0f} ({rate:.1f}{share})")
        print(f"{layer.name:<26}" + "".join(f"{cell:>22}" for cell in cells))


def print_ratios(layers: list[Layer], times: Times, own: str) -> None:
    names = [n for n in OTHERS if any((layer.name, n) in times for layer in layers)]
    print(f"\n{'time / that of ' + own:<26}" + "".join(f"{name:>9}" for name in names))
    for layer in layers:
        cells = [
            f"{times[layer.name, name] / times[layer.name, own]:.2f}"
            if (layer.name, name) in times
            else "-"
            for name in names
        ]
        print(f"{layer.name:<26}" + "".join(f"{cell:>9}" for cell in cells))


def line(title: str, values: dict[str, float], shown: str = "{:.2f}x") -> None:
    """One promise: the mean over its layers, and between which layers it lies."""
    if not values:
        return
    low, *_, high = sorted([*values, *values], key=values.__getitem__)
    extremes = [f"{shown.format(values[name])} ({name.split()[0]})" for name in (low, high)]
    between = "   " + " to ".join(extremes) if low != high else ""
    print(f"  {title:<56}{shown.format(mean(values.values())):>7}{between}")


def print_promises(layers: list[Layer], times: Times, rates: dict[str, float]) -> None:
    print("\npromised: geometric mean, and its extremes")
    large = [layer for layer in layers if layer.is_large]
    for name, peak in rates.items():
        for own in ("value", "double-double"):
            shares = {la.name: la.mflop * 1e-3 / times[la.name, own] / peak for la in large}
            line(f"{own}, share of the {name}, >= 100 MFLOP", shares, "{:.0%}")
    common = [la for la in layers if la.name.startswith("R") and la.groups == 1]
    for other in ("tf", "torch", "im2col", "windows"):
        ratios = {
            la.name: times[la.name, other] / times[la.name, "value"]
            for la in common
            if (la.name, other) in times
        }
        line(f"{other} float64 / value, R1-R5 and R7", ratios)
    for other in ("torch", "tf"):
        ratios = {
            la.name: times[la.name, other] / times[la.name, "value"]
            for la in layers
            if la.groups > 1 and (la.name, other) in times
        }
        line(f"{other} float64 / value, depthwise", ratios)
    for title, few in (("certified / value, taps >= 64", False), ("the same, fewer taps", True)):
        ratios = {
            la.name: times[la.name, "certified"] / times[la.name, "value"]
            for la in layers
            if (la.geometry.taps < 64) == few
        }
        line(title, ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three rounds, without R3")
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    rounds = 3 if options.quick else options.rounds
    layers = [la for la in LAYERS if not (options.quick and la.name.startswith("R3"))]
    found: dict[Any, Call] = {}
    for layer in layers:
        programs = calls(layer)
        compare(layer, programs)
        found |= {(layer.name, name): call for name, call in programs.items()}
    with tempfile.TemporaryDirectory() as folder:
        known = peaks(folder)
        found |= {("", name): peak.call for name, peak in known.items()}
        times = best(found, rounds)
    rates = {name: peak.mflop * 1e-3 / times["", name] for name, peak in known.items()}
    print(f"path {active_path()}, best of {rounds} rounds, one thread each")
    for name, rate in rates.items():
        print(f"{name} of one core: {rate:.1f} GF/s in float64")
    if not rates:
        print("no C compiler that builds the loop of the peak: its column is left out")
    for program in OTHERS:
        if not any(name == program for _, name in times):
            print(f"{program} is not installed: its column is left out")
    print_times(layers, times, rates.get("FMA peak"))
    for own in REFERENCE:
        print_ratios(layers, times, own)
    print_promises(layers, times, rates)
    for dtype in FLOATS:
        counts = certificates(layers, dtype)
        beyond = counts.sum() - counts[Certificate.BOUND]
        print(
            f"  not decided by the bound, normal {dtype + ':':<10}{beyond / counts.sum():.1e} of "
            f"{counts.sum()} ({counts[Certificate.LATTICE]} by the lattice, "
            f"{counts[Certificate.SUMMED]} by exact sums)"
        )
    print(f"  certified 1x1x1x1: {times[layers[0].name, 'certified'] * 1e6:.0f} us")
    count = 100 if options.quick else 300
    print(f"  certified cases of a campaign: {certified_cases(count, rounds):.0f}/s")


if __name__ == "__main__":
    main()
