"""The constructor arguments of Conv2D: normalised, or refused as Keras 3.15.1 refuses them.

Python's own comparisons decide where Keras leaves them to decide, so that a value of the wrong type
raises the same exception type; the messages are Keras'.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PADDINGS = ("valid", "same")
DATA_FORMATS = ("channels_first", "channels_last")


def pair(value: Any, name: str) -> tuple[Any, Any]:
    """Return ``kernel_size``, ``strides`` or ``dilation_rate`` as a pair.

    An ``int`` (also a ``bool``) stands for both axes; any iterable of two gives its elements
    unchanged, so floats pass here and are refused when the layer is built.

    Raises ``ValueError`` for a wrong length, for elements that ``int`` refuses and for values that
    are not positive; ``TypeError`` for elements that cannot be compared with 0 and
    ``OverflowError`` for an infinite one.
    """
    wrong = f"The `{name}` argument must be a tuple of 2 integers. Received {name}={value}"
    if isinstance(value, int):
        items: tuple[Any, ...] = (value, value)
    else:
        try:
            items = tuple(value)
        except TypeError:
            raise ValueError(wrong) from None
    if len(items) != 2:
        raise ValueError(wrong)
    for item in items:
        try:
            int(item)
        except (TypeError, ValueError):
            raise ValueError(f"{wrong}including element {item} of type {type(item)}") from None
    refused = {item for item in items if item <= 0}
    if refused:
        raise ValueError(f"{wrong}, including values {refused} that do not satisfy `value > 0`")
    return items[0], items[1]


def whole(values: tuple[Any, Any], name: str) -> tuple[int, int]:
    """Return strides or dilation as plain ints; ``ValueError`` for a fraction.

    Keras takes floats in the constructor; what its backends do with a fraction differs.
    """
    if any(value != int(value) for value in values):
        raise ValueError(f"`{name}` must be whole numbers. Received: {name}={values}")
    return int(values[0]), int(values[1])


def padding(value: Any) -> Any:
    """Return ``value`` in lower case if it names a padding; a list or tuple is kept as it is.

    Keras' constructor keeps lists and tuples for layers with explicit padding; Conv2D refuses them
    when it is built. Raises ``ValueError`` for other names, ``AttributeError`` for what has no
    ``lower``.
    """
    if isinstance(value, (list, tuple)):
        return value
    name = value.lower()
    if name not in PADDINGS:
        raise ValueError(
            "The `padding` argument must be a list/tuple or one of "
            f"{{'valid', 'same'}}. Received: {name}"
        )
    return name


def data_format(value: Any) -> str:
    """Return the layout in lower case; ``None`` is Keras' default, ``"channels_last"``.

    Raises ``ValueError`` for everything else.
    """
    name = "channels_last" if value is None else str(value).lower()
    if name not in DATA_FORMATS:
        raise ValueError(
            "The `data_format` argument must be one of "
            f"{{'channels_first', 'channels_last'}}. Received: data_format={name}"
        )
    return name


def check_filters_and_groups(filters: Any, groups: Any) -> None:
    """Raise ``ValueError`` unless both are positive and ``groups`` divides ``filters``.

    ``filters=None`` passes, as in Keras, and fails when the layer is built.
    """
    if filters is not None and filters <= 0:
        raise ValueError(
            "Invalid value for argument `filters`. Expected a strictly positive value. "
            f"Received filters={filters}."
        )
    if groups <= 0:
        raise ValueError(
            f"The number of groups must be a positive integer. Received: groups={groups}."
        )
    if filters is not None and filters % groups != 0:
        raise ValueError(
            "The number of filters must be evenly divisible by the number of groups. "
            f"Received: groups={groups}, filters={filters}."
        )


def check_strides_and_dilation(strides: tuple[Any, Any], dilation_rate: tuple[Any, Any]) -> None:
    """Raise ``ValueError`` if both exceed 1 somewhere, even on different axes."""
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise ValueError(
            "`strides > 1` not supported in conjunction with `dilation_rate > 1`. "
            f"Received: strides={strides} and dilation_rate={dilation_rate}"
        )


def check_input_channels(channels: Any, groups: Any, input_shape: Any) -> None:
    """Raise ``ValueError`` unless ``groups`` divides the input channels."""
    if channels % groups != 0:
        raise ValueError(
            "The number of input channels must be evenly divisible by the number of groups. "
            f"Received groups={groups}, but the input has {channels} channels "
            f"(full input shape is {input_shape})."
        )


def layer_name(value: Any) -> str:
    """Return ``value`` if it can name a layer: a string without ``/``, else ``ValueError``."""
    if not isinstance(value, str) or "/" in value:
        raise ValueError(
            "Argument `name` must be a string and cannot contain character `/`. "
            f"Received: name={value} (of type {type(value)})"
        )
    return value


def trainable(value: Any) -> bool:
    """Return ``value`` if it is a ``bool``, else raise ``ValueError``."""
    if not isinstance(value, bool):
        raise ValueError(
            "Expected `trainable` to be a boolean. "
            f"Received: trainable={value} (of type {type(value)})"
        )
    return value


def weight_shape(shape: tuple[Any, ...], path: str) -> tuple[int, ...]:
    """Return the shape of a weight with plain ints.

    Raises ``ValueError`` for an unknown, fractional, negative or otherwise impossible dimension.
    """
    if None in shape:
        raise ValueError(
            "Shapes used to initialize variables must be fully-defined (no `None` dimensions). "
            f"Received: shape={shape} for variable path='{path}'"
        )
    return tuple(_dimension(size, shape) for size in shape)


def _dimension(size: Any, shape: tuple[Any, ...]) -> int:
    try:
        if isinstance(size, (str, float)) or np.ndim(size):
            raise TypeError
        whole = int(size)
    except (TypeError, ValueError):
        raise ValueError(
            f"Cannot convert '{shape}' to a shape. "
            f"Found invalid dimension '{size}' of type '{type(size)}'."
        ) from None
    if whole < 0:
        raise ValueError(
            f"Cannot convert '{shape}' to a shape. Negative dimensions are not allowed."
        )
    return whole
