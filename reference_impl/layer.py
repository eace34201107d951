"""Conv2D as a layer: the constructor, life cycle and config of Keras 3.15.1 around ``conv2d``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from reference_impl import (
    activations,
    arguments,
    constraints,
    dtype_policy,
    initializers,
    regularizers,
)
from reference_impl.convolution import conv2d
from reference_impl.dtypes import FLOATS, format_of
from reference_impl.geometry import output_shape
from reference_impl.rounding import round_to
from reference_impl.serialization import Config, snake_case
from reference_impl.variable import Variable

Array = npt.NDArray[Any]

_names_given: Counter[str] = Counter()

# Inputs that are rounded to the compute dtype; everything else is refused.
_CASTABLE = {*FLOATS, "float8_e4m3fn", "float8_e5m2"}


def _automatic_name(cls: type) -> str:
    """Return ``conv2d``, ``conv2d_1``, ... as Keras names layers of a class."""
    stem = snake_case(cls.__name__)
    number = _names_given[stem]
    _names_given[stem] += 1
    return f"{stem}_{number}" if number else stem


class Conv2D:
    """2D convolution layer with the arguments and behaviour of ``keras.layers.Conv2D`` 3.15.1.

    Arguments are Keras', in Keras' order, and are normalised and refused as Keras does; see
    :mod:`reference_impl.arguments` for the rules. ``**kwargs`` may hold ``name``, ``trainable``,
    ``dtype``, ``autocast``, ``input_shape``, ``input_dim``, ``lora_rank`` and ``lora_alpha``; any
    other raises ``ValueError``. ``input_shape`` (without the batch axis) and ``input_dim`` are kept
    as ``input_shape_arg`` and, as in Keras, neither build the layer nor enter its config. Keras
    warns about them; this layer does not.

    **Shapes.** Inputs are (N, H, W, C), or (N, C, H, W) for ``data_format="channels_first"``. The
    weights are ``kernel`` (kh, kw, C // groups, filters) and, with ``use_bias``, ``bias``
    (filters,). The output has ``filters`` channels on the same axis as the input.

    **Dtypes.** ``dtype`` is a policy: one of float16, bfloat16, float32 and float64 for everything,
    or ``mixed_float16`` / ``mixed_bfloat16`` for float32 weights and 16-bit computation. Floating
    inputs and the weights are rounded to the compute dtype, which is the dtype of the output.
    Keras does not cast integer, boolean and complex inputs, and its TensorFlow backend then raises
    ``ValueError``; so does this layer. With ``autocast=False`` that holds for every dtype but the
    compute dtype.

    **Values.** The sum of all products and the bias, in float64 as :func:`conv2d` computes it, is
    rounded once to the compute dtype; the activation is computed from that value in float64 and
    rounded once. (Keras' backends also round between the convolution and the bias, and inside the
    activation.) The input is never modified.

    ``losses`` has the activity penalty of the last call, divided by the batch size (0 for an empty
    batch), then the penalties on the trainable weights. Constraints are kept, never applied.
    """

    rank: ClassVar[int] = 2

    kernel_size: tuple[Any, Any]
    strides: tuple[Any, Any]
    dilation_rate: tuple[Any, Any]
    bias: Variable | None  # exists once the layer is built
    lora_kernel_a: Variable  # these two exist once LoRA is enabled
    lora_kernel_b: Variable

    def __init__(
        self,
        filters: Any,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        data_format: Any = None,
        dilation_rate: Any = (1, 1),
        groups: Any = 1,
        activation: Any = None,
        use_bias: Any = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        if "rank" in kwargs:
            raise TypeError("Conv2D.__init__() got multiple values for keyword argument 'rank'")
        lora_rank = kwargs.pop("lora_rank", None)
        lora_alpha = kwargs.pop("lora_alpha", None)

        # Keras' order, which decides what a call with several bad arguments raises.
        name = kwargs.pop("name", None)
        self.name = _automatic_name(type(self)) if name is None else arguments.layer_name(name)
        self.dtype_policy = dtype_policy.get(kwargs.pop("dtype", None))
        self.activity_regularizer = regularizers.get(activity_regularizer)
        input_dim = kwargs.pop("input_dim", None)
        self.input_shape_arg: Any = (
            kwargs.pop("input_shape", None) if input_dim is None else (input_dim,)
        )
        self.autocast = kwargs.pop("autocast", True)
        trainable = kwargs.pop("trainable", True)
        if kwargs:
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}"
            )
        self._trainable = arguments.trainable(trainable)

        self.filters = filters
        self.groups = groups
        self.kernel_size = arguments.pair(kernel_size, "kernel_size")
        self.strides = arguments.pair(strides, "strides")
        self.dilation_rate = arguments.pair(dilation_rate, "dilation_rate")
        self.padding = arguments.padding(padding)
        self.data_format = arguments.data_format(data_format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        arguments.check_filters_and_groups(self.filters, self.groups)
        arguments.check_strides_and_dilation(self.strides, self.dilation_rate)

        self.lora_rank = lora_rank
        self.lora_alpha = lora_rank if lora_alpha is None else lora_alpha
        self.lora_enabled = False
        self.built = False
        self._input_channels: Any = None
        self._weights: list[Variable] = []
        self._activity_losses: list[float] = []

    # Properties -------------------------------------------------------------------------------

    @property
    def compute_dtype(self) -> str:
        """The name of the dtype of the computation and of the output."""
        return self.dtype_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The name of the dtype of the weights."""
        return self.dtype_policy.variable_dtype

    @property
    def dtype(self) -> str:
        """The name of the dtype of the weights, as in Keras."""
        return self.variable_dtype

    @property
    def trainable(self) -> bool:
        """Whether the weights are meant to be trained.

        Setting it sets it on every weight but a kernel that LoRA has frozen.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: Any) -> None:
        self._trainable = bool(value)
        for variable in self._weights:
            frozen = self.lora_enabled and variable is self._kernel
            variable.trainable = self._trainable and not frozen

    @property
    def kernel(self) -> Variable | Array:
        """The kernel; with LoRA its effective value, an array in the compute dtype.

        Raises ``AttributeError`` before the layer is built.
        """
        if not self.built:
            raise AttributeError("You must build the layer before accessing `kernel`.")
        if not self.lora_enabled:
            return self._kernel
        low_rank = np.matmul(
            np.asarray(self.lora_kernel_a, dtype=np.float64),
            np.asarray(self.lora_kernel_b, dtype=np.float64),
        )
        kernel = np.asarray(self._kernel, dtype=np.float64)
        adapted = kernel + self.lora_alpha / self.lora_rank * low_rank
        return round_to(adapted, format_of(self.compute_dtype))

    @property
    def weights(self) -> list[Variable]:
        """Kernel, bias, and the two LoRA matrices, as far as they exist."""
        return list(self._weights)

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights to train: none if the layer is not trainable."""
        return [variable for variable in self._weights if self.trainable and variable.trainable]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The other weights."""
        return [v for v in self._weights if not (self.trainable and v.trainable)]

    @property
    def losses(self) -> list[float]:
        """The activity penalty of the last call, then the penalties on the trainable weights."""
        return self._activity_losses + [
            float(variable.regularizer(np.asarray(variable)))
            for variable in self.trainable_weights
            if variable.regularizer is not None
        ]

    # Building ---------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Create the weights for inputs of ``input_shape`` (with batch axis; unknown sizes None).

        Raises, in this order: ``TypeError`` for something that is no shape or an unknown number of
        channels; ``ValueError`` if ``groups`` does not divide the channels, for another rank than
        4, an empty output, a padding that is neither ``"valid"`` nor ``"same"``, sizes that are not
        whole numbers, a layer already built, or a dtype that is not one of the four floats.
        """
        channels = input_shape[-1] if self.data_format == "channels_last" else input_shape[1]
        arguments.check_input_channels(channels, self.groups, input_shape)
        self.compute_output_shape(input_shape)
        if self.built:
            raise ValueError(
                "You cannot add new elements of state (variables or sub-layers) to a layer that is "
                f"already built: '{self.name}' has its weights."
            )
        if self.compute_dtype not in FLOATS:
            raise ValueError(
                f"Conv2D computes in one of {', '.join(FLOATS)}. "
                f"Received: dtype={self.dtype_policy.name}"
            )
        kernel = self._weight(
            "kernel",
            (*self.kernel_size, channels // self.groups, self.filters),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        bias = None
        if self.use_bias:
            bias = self._weight(
                "bias",
                (self.filters,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self._kernel = kernel
        self.bias = bias
        self._weights = [kernel] if bias is None else [kernel, bias]
        self._input_channels = channels
        self.trainable = self._trainable
        self.built = True
        if self.lora_rank:
            try:
                self.enable_lora(self.lora_rank, lora_alpha=self.lora_alpha)
            except Exception:
                self._weights, self.built, self._input_channels = [], False, None
                raise

    def _weight(
        self,
        name: str,
        shape: tuple[Any, ...],
        initializer: Any,
        *,
        dtype: str | None = None,
        regularizer: Callable[[Any], Any] | None = None,
        constraint: Callable[[Any], Any] | None = None,
    ) -> Variable:
        path = f"{self.name}/{name}"
        dtype = dtype or self.variable_dtype
        whole = arguments.weight_shape(shape, path)
        # Keras takes its default for None, for the bias as well as for the kernel.
        initializer = initializers.GlorotUniform() if initializer is None else initializer
        value = np.asarray(initializer(whole, dtype=dtype))
        if value.shape != whole:
            raise ValueError(
                f"The initializer of '{path}' must return an array of shape {whole}. "
                f"Received: shape={value.shape}"
            )
        return Variable(
            value, dtype=dtype, name=name, path=path, regularizer=regularizer, constraint=constraint
        )

    def enable_lora(
        self,
        rank: Any,
        lora_alpha: Any = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the kernel and add ``lora_alpha / rank * a @ b`` to it, ``a`` and ``b`` trainable.

        ``lora_kernel_a`` (kh, kw, C // groups, rank) and ``lora_kernel_b`` (rank, filters) are
        float32 and follow kernel and bias in ``weights``; ``b`` starts as zeros, so the output does
        not change. Raises ``ValueError`` for a layer with a kernel constraint, not built, or with
        LoRA already enabled, and for a rank that is no whole number.
        """
        if self.kernel_constraint:
            raise ValueError(
                "Lora is incompatible with kernel constraints. In order to enable lora on this "
                "layer, remove the `kernel_constraint` argument."
            )
        if not self.built:
            raise ValueError("Cannot enable lora on a layer that isn't yet built.")
        if self.lora_enabled:
            raise ValueError("lora is already enabled. This can only be done once per layer.")
        shapes = {"a": (*self._kernel.shape[:-1], rank), "b": (rank, self.filters)}
        makers = {"a": a_initializer, "b": b_initializer}
        self.lora_kernel_a, self.lora_kernel_b = (
            self._weight(
                f"lora_kernel_{side}",
                shapes[side],
                initializers.get(makers[side]),
                dtype="float32",
                regularizer=self.kernel_regularizer,
            )
            for side in ("a", "b")
        )
        self._weights += [self.lora_kernel_a, self.lora_kernel_b]
        self._kernel.trainable = False
        self.lora_rank = rank
        self.lora_alpha = rank if lora_alpha is None else lora_alpha
        self.lora_enabled = True

    # Calling ----------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *, training: Any = None) -> Array:
        """Return the layer's output for ``inputs``; builds the layer on the first call.

        ``training`` changes nothing. Raises ``ValueError`` for something that is not one floating
        array, for fewer than four axes, for a number of channels the layer was not built for, and
        for an empty output or an input without channels.
        """
        x = self._converted(inputs)
        if not self.built:
            self.build(x.shape)
        outputs = self.call(x)
        self._activity_losses = []
        if self.activity_regularizer is not None:
            batch = outputs.shape[0] if outputs.ndim else 1
            penalty = float(self.activity_regularizer(outputs))
            self._activity_losses.append(penalty / batch if batch else 0.0)
        return outputs

    def call(self, inputs: Array) -> Array:
        """Return the output for an array in the compute dtype, of a layer that is built."""
        if inputs.ndim != self.rank + 2:
            raise ValueError(
                f"Conv2D takes inputs with 4 axes. Received: inputs.shape={inputs.shape}"
            )
        if not inputs.shape[-1 if self.data_format == "channels_last" else 1]:
            raise ValueError(
                f"The input must have at least one channel. Received: inputs.shape={inputs.shape}"
            )
        fmt = format_of(self.compute_dtype)
        outputs = conv2d(
            inputs,
            round_to(np.asarray(self.kernel), fmt),
            None if self.bias is None else round_to(np.asarray(self.bias), fmt),
            strides=arguments.whole(self.strides, "strides"),
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=arguments.whole(self.dilation_rate, "dilation_rate"),
            groups=int(self.groups),
        )
        return outputs if self.activation is None else np.asarray(self.activation(outputs))

    def _converted(self, inputs: Any) -> Array:
        """Return ``inputs`` in the compute dtype, checked against the layer's input rules."""
        if not hasattr(inputs, "__array__"):
            raise ValueError(
                f"Inputs to a layer should be tensors. Got '{inputs}' (of type {type(inputs)}) "
                f"as input for layer '{self.name}'."
            )
        try:
            x = np.asarray(inputs)
        except Exception as error:
            raise ValueError(
                f"Conv2D takes arrays, and {type(inputs).__name__} cannot be made one ({error}). "
                "It has no symbolic call; `compute_output_shape` gives the shape."
            ) from error
        wrong = f"Input 0 with name 'None' of layer '{self.name}' is incompatible with the layer: "
        if x.ndim < self.rank + 2:
            raise ValueError(
                f"{wrong}expected min_ndim={self.rank + 2}, found ndim={x.ndim}. "
                f"Full shape received: {x.shape}"
            )
        axis = -1 if self.data_format == "channels_last" else 1
        if self.built and x.shape[axis] != self._input_channels:
            raise ValueError(
                f"{wrong}expected axis {axis} of input shape to have value "
                f"{self._input_channels}, but received input with shape {x.shape}"
            )
        allowed = _CASTABLE if self.autocast else {self.compute_dtype}
        if x.dtype.name not in allowed:
            raise ValueError(
                f"Conv2D does not cast {x.dtype.name} inputs. "
                f"Allowed are {', '.join(sorted(allowed))}."
            )
        if not self.built and self.compute_dtype not in FLOATS:
            return x  # build() refuses the dtype policy
        return round_to(x, format_of(self.compute_dtype))

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Return the output shape for ``input_shape``, whose unknown sizes are ``None``.

        Raises ``ValueError`` for another rank than 4, an empty output, and a padding that is
        neither ``"valid"`` nor ``"same"``.
        """
        return output_shape(
            input_shape,
            self.filters,
            kernel_size=self.kernel_size,
            strides=arguments.whole(self.strides, "strides"),
            padding=self.padding,
            dilation_rate=arguments.whole(self.dilation_rate, "dilation_rate"),
            data_format=self.data_format,
        )

    # Weights and config -----------------------------------------------------------------------

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, in the order of ``weights``."""
        return [variable.numpy() for variable in self._weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace the weights by copies of ``weights``, rounded to their dtypes; all or none.

        (Keras has by then replaced those before the first wrong one.)

        Raises ``ValueError`` for another number of arrays or another shape, and, as in Keras,
        ``AttributeError`` for lists in place of arrays.
        """
        if len(weights) != len(self._weights):
            raise ValueError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list of "
                f"length {len(weights)}, but the layer was expecting {len(self._weights)} weights."
            )
        for variable, value in zip(self._weights, weights, strict=True):
            if variable.shape != tuple(value.shape):
                raise ValueError(
                    f"Layer {self.name} weight shape {variable.shape} is not compatible with "
                    f"provided weight shape {value.shape}."
                )
        for variable, value in zip(self._weights, weights, strict=True):
            variable.assign(value)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Replace the weights by those that ``store`` has as ``"0"``, ``"1"``, as in Keras.

        All or none, and with the errors of `set_weights`.
        """
        self.set_weights([store[str(n)] for n in range(len(self._weights))])

    def count_params(self) -> int:
        """Return the number of scalars in the weights; ``ValueError`` before building."""
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer '{self.name}', but the layer isn't "
                "built. You can build it manually via: `layer.build(input_shape)`."
            )
        return sum(variable.size for variable in self._weights)

    def get_config(self) -> Config:
        """Return the constructor arguments, equal to what ``keras.layers.Conv2D`` returns.

        ``autocast`` and ``input_shape`` are not in it, as in Keras.
        """
        activity_regularizer = regularizers.serialize(self.activity_regularizer)
        config: Config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy.serialize(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": activity_regularizer,
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
        if self.lora_rank:
            config |= {"lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha}
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Conv2D:
        """Return a new layer from a config; ``TypeError`` if its arguments are refused."""
        try:
            return cls(**config)
        except Exception as error:
            raise TypeError(
                f"Error when deserializing class '{cls.__name__}' using config={config}.\n\n"
                f"Exception encountered: {error}"
            ) from error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"
