"""Right implementations and ones with one thing wrong each; named as ``planted:attr``."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
import zlib
from typing import Any

import numpy as np

import reference_impl
from conformance import Capabilities, Implementation, Unsupported, expected_failure
from conformance.observing import observe

right = reference_impl.conv2d
not_callable = 3


def swapped_dilation(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return right(x, kernel, bias, **(given | {"dilation_rate": given["dilation_rate"][::-1]}))


def bias_lost_at_zero(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Leaves the bias out where a sum is zero: of padding alone, all are."""
    sums = right(x, kernel, None, **given)
    return np.where(sums == 0, sums, right(x, kernel, bias, **given))


def sixteen_filters_of_groups(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Swaps groups where there are whole blocks of sixteen filters."""
    if given["groups"] > 1 and kernel.shape[3] % 16 == 0:
        kernel = np.roll(kernel, kernel.shape[3] // given["groups"], axis=3)
    return right(x, kernel, bias, **given)


def swapped_dilation_of_groups(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    wrong = swapped_dilation if given["groups"] > 1 else right
    return wrong(x, kernel, bias, **given)


def off_by_one(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return right(x, kernel, bias, **given) + right(x, kernel, bias, **given).dtype.type(1)


def bias_of_float32_alone(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return right(x, kernel, bias if x.dtype.itemsize > 2 else None, **given)


def talkative(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Writes where the replies of a worker process could be thought to go."""
    print("a line on stdout", flush=True)
    os.write(1, b"\x80\x04 bytes that look like a pickle")
    sys.stderr.write("a line on stderr\n")
    return right(x, kernel, bias, **given)


_buffers: dict[Any, Any] = {}


def recycles_its_buffer(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Right, but every result of a shape is a view of the same memory."""
    y = right(x, kernel, bias, **given)
    buffer = _buffers.setdefault((y.shape, y.dtype), np.empty_like(y))
    buffer[...] = y
    return buffer[:]


def leaves(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if given["groups"] == 2:
        sys.exit(7)
    return right(x, kernel, bias, **given)


def ends_the_process(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if given["groups"] == 2:
        os._exit(5)
    return right(x, kernel, bias, **given)


def throws_dice(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Another result in each process under padding, as of memory that is not its own."""
    result = right(x, kernel, bias, **given)
    if given["padding"] == "same" and result.size:
        result.flat[0] += np.array(os.urandom(1)[0], result.dtype)
    return result


def reads_address_zero(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if given["groups"] == 2:
        ctypes.string_at(0)
    return right(x, kernel, bias, **given)


def leaves_a_child(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Ends, while a forked child keeps its files open for some seconds more."""
    if os.fork() == 0:
        signal.alarm(6)
        signal.pause()
    os._exit(5)


def never_returns(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if given["groups"] == 2:
        threading.Event().wait()
    return right(x, kernel, bias, **given)


_remembered: dict[Any, Any] = {}


def forgets_the_padding(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Keeps the padding of the first call of each shape: a cache with too small a key."""
    key = x.shape, kernel.shape
    padding = _remembered.setdefault(key, given["padding"])
    try:
        return right(x, kernel, bias, **(given | {"padding": padding}))
    except ValueError:
        return right(x, kernel, bias, **given)


_dtypes: set[str] = set()


def wrong_after_float64(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Adds 1 to results in float16, once it has computed something in float64."""
    _dtypes.add(x.dtype.name)
    result = right(x, kernel, bias, **given)
    return result + result.dtype.type(x.dtype == np.float16 and "float64" in _dtypes)


def without_groups(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Does no groups, and says so."""
    if given["groups"] > 1:
        raise Unsupported("this library has no groups")
    return right(x, kernel, bias, **given)


def does_nothing(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    raise Unsupported("this library does nothing")


_calls = 0


def announces_itself(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Writes a byte to the pipe named by ANNOUNCE at its hundredth call."""
    global _calls
    _calls += 1
    if _calls == 100:
        pipe = os.open(os.environ["ANNOUNCE"], os.O_WRONLY)
        os.write(pipe, b"!")
        os.close(pipe)
    return right(x, kernel, bias, **given)


# What happens to the process ---------------------------------------------------------------------


def ends_the_process_often(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """On three kernels of ten, always the same ones."""
    if zlib.crc32(kernel.tobytes()) % 10 < 3:
        os._exit(5)
    return right(x, kernel, bias, **given)


def always_ends_the_process(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    os._exit(5)


def hoards(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Takes 16 MiB after 16 MiB where there are two groups, until it is stopped."""
    taken: list[Any] = []
    while given["groups"] == 2 and len(taken) < 200:
        taken.append(np.ones(2**21))
    return right(x, kernel, bias, **given)


_leaked: list[Any] = []


def leaks(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Right, but keeps 20 MB of every call."""
    _leaked.append(np.ones(20_000_000, np.uint8))
    return right(x, kernel, bias, **given)


class _Returned:
    """An array as a stranger's library would wrap it."""

    def __init__(self, array: Any, says: Any = None) -> None:
        self._array, self.dtype = array, np.dtype(says or array.dtype)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._array


def wraps_its_result(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return _Returned(right(x, kernel, bias, **given))


def lies_about_its_dtype(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """float32 in what says it is float64."""
    y = right(x, kernel, bias, **given)
    return _Returned(y.astype(np.float32), y.dtype) if y.dtype == np.float64 else y


class _Unreadable:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("device 3 was lost")


def cannot_be_read(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return _Unreadable()


# What is claimed ---------------------------------------------------------------------------------


class Declared(Implementation):
    """Right, and declares all that a convolution of Keras does."""

    capabilities: Capabilities | None = Capabilities()

    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return right(x, kernel, bias, **given)


class WithoutGroups(Declared):
    """Does no groups, and declares so."""

    capabilities = Capabilities(groups=False)

    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return without_groups(x, kernel, bias, **given)


class ClaimsGroups(WithoutGroups):
    capabilities = Capabilities()


class Modest(Declared):
    """Does more than it declares."""

    capabilities = Capabilities(groups=False, dtypes=("float32", "float64"))


class StridesWithDilation(Declared):
    """Does what Keras refuses."""

    capabilities = Capabilities(strides_with_dilation=True)


class WithFunction(Implementation):
    """A right layer with a right function beside it."""

    layer = reference_impl.Conv2D

    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return right(x, kernel, bias, **given)


class WithWrongFunction(WithFunction):
    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return off_by_one(x, kernel, bias, **given)


class WithFunctionOfAnotherDtype(WithFunction):
    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return right(x, kernel, bias, **given).astype(np.float64)


class WithFunctionThatRefuses(WithFunction):
    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return does_nothing(x, kernel, bias, **given)


class WithGradients(Declared):
    capabilities = Capabilities(gradients=True)

    def gradients(self, x: Any, kernel: Any, bias: Any, upstream: Any, **given: Any) -> Any:
        return (
            reference_impl.input_gradient(upstream, kernel, x.shape, **given),
            reference_impl.kernel_gradient(upstream, x, kernel.shape[:2], **given),
            None
            if bias is None
            else reference_impl.bias_gradient(upstream, data_format=given["data_format"]),
        )


class WithWrongInputGradient(WithGradients):
    def gradients(self, x: Any, kernel: Any, bias: Any, upstream: Any, **given: Any) -> Any:
        dx, dk, db = super().gradients(x, kernel, bias, upstream, **given)
        return dx[:, ::-1], dk, db


class WithWrongKernelGradient(WithGradients):
    def gradients(self, x: Any, kernel: Any, bias: Any, upstream: Any, **given: Any) -> Any:
        dx, dk, db = super().gradients(x, kernel, bias, upstream, **given)
        return dx, dk[::-1, ::-1], db


class WithWrongBiasGradient(WithGradients):
    """The mean over the batch, where the sum is meant."""

    def gradients(self, x: Any, kernel: Any, bias: Any, upstream: Any, **given: Any) -> Any:
        dx, dk, db = super().gradients(x, kernel, bias, upstream, **given)
        return dx, dk, None if db is None else (db / max(len(x), 1)).astype(db.dtype)


class WithWideGradients(WithGradients):
    def gradients(self, x: Any, kernel: Any, bias: Any, upstream: Any, **given: Any) -> Any:
        found = super().gradients(x, kernel, bias, upstream, **given)
        return tuple(None if one is None else one.astype(np.float64) for one in found)


class WithoutBiasGradient(WithGradients):
    def gradients(self, x: Any, kernel: Any, bias: Any, upstream: Any, **given: Any) -> Any:
        return *super().gradients(x, kernel, bias, upstream, **given)[:2], None


class WithTwoGradients(WithGradients):
    def gradients(self, x: Any, kernel: Any, bias: Any, upstream: Any, **given: Any) -> Any:
        return super().gradients(x, kernel, bias, upstream, **given)[:2]


class WithGradientsThatRaise(WithGradients):
    def gradients(self, x: Any, kernel: Any, bias: Any, upstream: Any, **given: Any) -> Any:
        raise ValueError("no gradient of stride 2")


# What is expected --------------------------------------------------------------------------------

SWAPS = {
    "check": ["output_shape", "exact_values", "bounded_values", "special_values"],
    "reason": "swaps the two dilations",
}


@expected_failure(**SWAPS, when={"dilation": "h != w"}, link="https://example.org/1")
def swapped_as_expected(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return swapped_dilation(x, kernel, bias, **given)


@expected_failure(**SWAPS, when={"dilation": "h != w"}, strict=True)
def mended(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Right, where a failure is expected and a pass is not allowed."""
    return right(x, kernel, bias, **given)


@expected_failure(**SWAPS, when={"dilation": "h != w"})
def mended_quietly(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Right, where a failure is expected and a pass is noted."""
    return right(x, kernel, bias, **given)


_left: list[bool] = []


def leaves_one_to_add(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Adds one from the first call with two groups on."""
    _left.extend([True] if given["groups"] == 2 else [])
    return (off_by_one if _left else right)(x, kernel, bias, **given)


@expected_failure(
    check=["exact_values", "bounded_values", "special_values"],
    reason="adds one from two groups on",
    when={"groups": 2},
    leaves_traces=True,
)
def leaves_one_to_add_as_known(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return leaves_one_to_add(x, kernel, bias, **given)


@expected_failure(check="exact_values", reason="adds one", when={"groups": "> 1"})
@expected_failure(check="exact_values", reason="adds one as well", when={"groups": 1})
@expected_failure(check=["bounded_values", "special_values"], reason="adds one everywhere")
class OffByOne(Implementation):
    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return off_by_one(x, kernel, bias, **given)


@expected_failure(
    check=["compute_output_shape", "refusals", "shapes_agree"], reason="knows no shapes"
)
class WithoutShapes(reference_impl.Conv2D):
    def compute_output_shape(self, input_shape: Any) -> Any:
        return None


def records_its_calls(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Writes what it is asked into the file that the environment names."""
    line = {
        "x": x.shape,
        "kernel": kernel.shape,
        "bias": bias is not None,
        "dtype": x.dtype.name,
        "memory": "C" if x.flags.c_contiguous else "other",
        "weights": "C" if kernel.flags.c_contiguous else "other",
        **given,
    }
    with open(os.environ["RECORDED_CALLS"], "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return right(x, kernel, bias, **given)


def writes_on_every_descriptor(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Where there are two groups: a library that logs to a descriptor it no longer owns."""
    if given["groups"] == 2:
        for descriptor in range(3, 12):
            try:
                os.write(descriptor, b"I0000 loaded\n")
            except OSError:
                continue
    return right(x, kernel, bias, **given)


def forks(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Goes on twice where there are two groups."""
    if given["groups"] == 2:
        os.fork()
    return right(x, kernel, bias, **given)


def raises_on_underflow(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Leaves NumPy's error handling as strict as it can be."""
    result = right(x, kernel, bias, **given)
    np.seterr(all="raise")
    return result


def breaks_the_suite(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Makes the suite useless in its process, where there are two groups."""
    if given["groups"] == 2:
        observe.Observation = None  # type: ignore[misc]
    return right(x, kernel, bias, **given)


def overrules_the_judge(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Wrong everywhere, and makes every comparison of its own process say that it is right."""
    import conformance.checks.values
    import conformance.criteria

    def no_error(*_: Any, **__: Any) -> Any:
        return np.zeros(1)

    for module in (conformance.checks.values, conformance.criteria):
        module.error_ratio = no_error  # type: ignore[assignment]
    np.array_equal = lambda *_, **__: True
    return right(x, kernel, bias, **given) + np.asarray(1, x.dtype)


_NUMPY = {name: getattr(np, name) for name in ("abs", "asarray", "array", "negative", "empty")}


def breaks_numpy(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Right, and leaves NumPy useless to everybody else in its process."""
    for name, function in _NUMPY.items():
        setattr(np, name, function)
    y = right(x, kernel, bias, **given)
    for name in _NUMPY:
        setattr(np, name, _refuse)
    return y


def _refuse(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("replaced")


def masks_its_result(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return np.ma.masked_all_like(right(x, kernel, bias, **given))


def forges_an_answer(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Writes a pickle that runs a command to every descriptor, where there are two groups."""
    if given["groups"] == 2:
        command = b"cposix\nsystem\n(S'touch FORGED'\ntR."
        for descriptor in range(3, 12):
            try:
                os.write(descriptor, command)
            except OSError:
                continue
    return right(x, kernel, bias, **given)


def is_killed_once(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Right; where there are two groups its process is killed, the first time only."""
    mark = os.environ["KILLED_ONCE"]
    if given["groups"] == 2 and kernel.shape[0] == 3 and not os.path.exists(mark):
        with open(mark, "w", encoding="utf-8"):
            os.kill(os.getpid(), signal.SIGKILL)
    return right(x, kernel, bias, **given)


class DoesNotStartAgain(Implementation):
    """Right; where there are two groups its process is killed, and the next one does not start."""

    def setup(self) -> None:
        mark = os.environ["KILLED_ONCE"]
        if os.path.exists(mark) and not os.path.exists(mark + ".again"):
            with open(mark + ".again", "w", encoding="utf-8"):
                raise RuntimeError("no memory")

    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return is_killed_once(x, kernel, bias, **given)


def hangs(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    time.sleep(1000)


def slow_and_wrong(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    time.sleep(0.05)
    return right(x, kernel, bias, **given) + np.asarray(1, x.dtype)


def refuses_strides_above_the_kernel(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if any(s > k for s, k in zip(given["strides"], kernel.shape, strict=False)):
        raise ValueError("the stride is larger than the kernel")
    return reference_impl.conv2d(x, kernel, bias, **given)


class KeepsItsPlan(reference_impl.Conv2D):
    """Plans are kept by the shape of the kernel and the strides, whatever the dilation is."""

    _plans: dict[Any, Any] = {}  # noqa: RUF012 - it is shared, which is the bug

    def __call__(self, inputs: Any, *given: Any, **named: Any) -> Any:
        if not self.built:
            self.build(np.shape(inputs))
        own = self.dilation_rate
        shape = tuple(np.shape(self.kernel))
        key = shape, self.strides, self.padding, self.data_format, self.groups
        self.dilation_rate = self._plans.setdefault(key, own)
        try:
            return super().__call__(inputs, *given, **named)
        finally:
            self.dilation_rate = own
