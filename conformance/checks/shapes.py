"""Checks of shape and dtype, decided before any value is looked at."""

from __future__ import annotations

from conformance.calls import Call, Kind
from conformance.case import Case
from conformance.checks.check import check
from conformance.checks.trial import CheckFailure, Trial
from reference_impl.dtypes import as_dtype
from reference_impl.geometry import output_shape as conv_output_shape


@check(diagnosed=True)
def output_shape(trial: Trial) -> None:
    """A call returns an array of the Conv2D output shape, in the case's data_format."""
    got, want = trial.output.shape, trial.expected.value.shape
    if got != want:
        n, a, b, c = want
        other = (n, c, a, b) if trial.case.geometry.data_format == "channels_last" else (n, b, c, a)
        cause = (
            "returns the layout of the other data_format"
            if got == other
            else "returns a wrong output shape"
        )
        raise CheckFailure(cause, f"expected shape {want}, got {got}")


def _shape_calls(trial: Trial) -> tuple[Call, ...]:
    symbolic = trial.info.declared.symbolic_shapes
    known = trial.case.input_shape
    shapes = (known, _unknown(trial)) if symbolic else (known,)
    return tuple(Call(Kind.OUTPUT_SHAPE, shape) for shape in shapes)


@check(observes=_shape_calls, only=lambda info: Kind.OUTPUT_SHAPE in info.answers)
def compute_output_shape(trial: Trial) -> None:
    """A layer's compute_output_shape returns the Conv2D output shape, even if sizes are None."""
    for call in _shape_calls(trial):
        got, allowed = trial.answer(call), allowed_shapes(trial.case, call.of)
        if not isinstance(got, list) or tuple(got) not in allowed:
            shown = tuple(got) if isinstance(got, list) else got
            raise CheckFailure(
                "compute_output_shape is wrong"
                + ("" if call.of == trial.case.input_shape else " for unknown sizes"),
                f"compute_output_shape({call.of}) should be {allowed[0]}, is {shown!r}",
            )


def allowed_shapes(case: Case, shape: tuple[int | None, ...]) -> list[tuple[int | None, ...]]:
    """What compute_output_shape may return for an input of `shape`.

    For glu there are two: Keras leaves out that it halves the last axis, and a layer may tell it.
    """
    whole = conv_output_shape(
        shape,
        case.filters,
        kernel_size=case.geometry.kernel_size,
        strides=case.geometry.strides,
        padding=case.geometry.padding,
        dilation_rate=case.geometry.dilation_rate,
        data_format=case.geometry.data_format,
    )
    if case.activation != "glu":
        return [whole]
    return [whole, (*whole[:-1], whole[-1] and whole[-1] // 2)]


@check(after=(output_shape,))
def output_dtype(trial: Trial) -> None:
    """The result has the layer's compute dtype, or for a function the dtype of `x`."""
    got, want = trial.output.dtype, as_dtype(trial.case.compute_dtype)
    if got != want:
        name = got.str if got.name == want.name else got.name  # another byte order
        raise CheckFailure(
            f"returns {name} for {want.name}", f"expected dtype {want.name}, got {name}"
        )


TYPED = (output_shape, output_dtype)


def _unknown(trial: Trial) -> tuple[int | None, ...]:
    shape: list[int | None] = [None] * 4
    channels = 3 if trial.case.geometry.data_format == "channels_last" else 1
    shape[channels] = trial.case.geometry.channels
    return tuple(shape)
