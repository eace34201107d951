"""The table of variations: the arguments of Conv2D times spellings and invalid values, and others.

Which rows Keras accepts is measured, not written here: the reference lives through them too.
"""

from __future__ import annotations

from collections.abc import Iterator

from conformance.variations.variation import Stage, Variation

# name, value, and the plain value that it spells.
Row = tuple[str, str] | tuple[str, str, str]

_PAIRS: tuple[Row, ...] = (
    ("tuple", "(2, 2)", "2"),
    ("uneven", "(2, 1)"),
    ("list", "[2, 2]", "2"),
    ("uneven_list", "[1, 2]", "(1, 2)"),
    ("numpy_int", "np.int64(2)"),
    ("numpy_ints", "(np.int32(2), np.int64(2))", "2"),
    ("half_numpy", "(np.int64(2), 2)", "2"),
    ("numpy_array", "np.array([2, 2])", "2"),
    ("zero_rank_array", "np.array(2)"),
    ("numpy_float", "np.float32(2.0)"),
    ("range", "range(1, 3)", "(1, 2)"),
    ("iterator", "iter([2, 1])", "(2, 1)"),
    ("true", "True", "1"),
    ("trues", "(True, True)", "1"),
    ("set", "{1, 2}"),
    ("dict", "{1: 2, 2: 1}"),
    ("zero", "0"),
    ("zero_in_pair", "(2, 0)"),
    ("false", "False"),
    ("negative", "-1"),
    ("negative_in_pair", "(2, -1)"),
    ("none", "None"),
    ("none_in_pair", "(None, 2)"),
    ("nones", "(None, None)"),
    ("short", "(2,)"),
    ("short_set", "{2}"),
    ("short_bytes", "b'\\x02'"),
    ("long", "(2, 2, 2)"),
    ("empty", "()"),
    ("nested", "[[2, 2]]"),
    ("tuples_in_pair", "((2,), (2,))"),
    ("float", "2.0"),
    ("floats", "(2.0, 2.0)"),
    ("fraction", "2.5"),
    ("fractions", "(2.5, 2.5)"),
    ("nan_in_pair", "(float('nan'), 2)"),
    ("infinity_in_pair", "(float('inf'), 2)"),
    ("text", "'2'"),
    ("texts", "('2', '2')"),
    ("digits", "'22'"),
    ("letters", "'ab'"),
    ("bytes", "b'\\x02\\x02'"),
    ("complex", "2j"),
    ("complex_in_pair", "(2j, 2)"),
)
_COUNTS: tuple[Row, ...] = (
    ("numpy_int", "np.int64(2)", "2"),
    ("numpy_int32", "np.int32(2)", "2"),
    ("true", "True", "1"),
    ("zero_rank_array", "np.array(2)"),
    ("numpy_array", "np.array([2])"),
    ("numpy_arrays", "np.array([2, 2])"),
    ("numpy_float", "np.float32(2.0)"),
    ("zero", "0"),
    ("negative", "-2"),
    ("false", "False"),
    ("none", "None"),
    ("float", "2.0"),
    ("fraction", "2.5"),
    ("nan", "float('nan')"),
    ("infinity", "float('inf')"),
    ("complex", "2j"),
    ("text", "'2'"),
    ("empty", "''"),
    ("tuple", "(2,)"),
    ("list", "[2]"),
    ("dict", "{}"),
)
_INITIALIZERS: tuple[Row, ...] = (
    ("zeros", "'zeros'"),
    ("ones", "'ones'"),
    ("class_name", "'Ones'", "'ones'"),
    ("one", "'one'", "'ones'"),
    ("identity", "'identity'"),
    ("glorot_normal", "'glorot_normal'"),
    ("he_uniform", "'he_uniform'"),
    ("lecun_normal", "'lecun_normal'"),
    ("random_normal", "'random_normal'"),
    ("truncated_normal", "'truncated_normal'"),
    ("variance_scaling", "'variance_scaling'"),
    ("orthogonal", "'orthogonal'"),
    ("constant_config", "{'class_name': 'Constant', 'config': {'value': 2.0}}"),
    ("zeros_config", "{'class_name': 'Zeros', 'config': {}}", "'zeros'"),
    ("unknown_key", "{'class_name': 'Constant', 'config': {'vale': 2}}"),
    ("unknown_class", "{'class_name': 'Nope', 'config': {}}"),
    ("callable", "lambda shape, dtype=None: np.full(shape, 2, dtype)"),
    ("callable_without_dtype", "lambda shape: np.zeros(shape)"),
    ("constant", "'constant'"),
    ("unknown", "'nope'"),
    ("upper_case", "'ZEROS'"),
    ("empty", "''"),
    ("number", "3"),
    ("float", "0.5"),
    ("true", "True"),
    ("list", "[]"),
    ("none", "None"),
    ("class_without_config", "{'class_name': 'Zeros'}"),
    ("config_of_number", "{'class_name': 'Zeros', 'config': 3}"),
    ("wrong_array", "np.ones((5, 7))"),
)
_REGULARIZERS: tuple[Row, ...] = (
    ("l1", "'l1'"),
    ("l2", "'l2'"),
    ("l1l2", "'l1l2'"),
    ("class_name", "'L2'", "'l2'"),
    ("l2_config", "{'class_name': 'L2', 'config': {'l2': 0.5}}"),
    ("l1_config", "{'class_name': 'L1', 'config': {'l1': 0.25}}"),
    ("negative_config", "{'class_name': 'L2', 'config': {'l2': -1}}"),
    ("unknown_key", "{'class_name': 'L2', 'config': {'l1': 1}}"),
    ("text_in_config", "{'class_name': 'L2', 'config': {'l2': 'a'}}"),
    ("old_name", "'l1_l2'"),
    ("unknown", "'nope'"),
    ("empty", "''"),
    ("float", "0.01"),
    ("number", "3"),
    ("true", "True"),
    ("list", "[]"),
    ("none", "None"),
)
_CONSTRAINTS: tuple[Row, ...] = (
    ("non_neg", "'non_neg'"),
    ("class_name", "'NonNeg'", "'non_neg'"),
    ("max_norm", "'max_norm'"),
    ("unit_norm", "'unit_norm'"),
    ("min_max_norm", "'min_max_norm'"),
    ("max_norm_config", "{'class_name': 'MaxNorm', 'config': {'max_value': 1.0, 'axis': 0}}"),
    ("without_underscore", "'nonneg'"),
    ("unknown", "'nope'"),
    ("empty", "''"),
    ("number", "3"),
    ("true", "True"),
    ("list", "[]"),
    ("none", "None"),
)

UNKNOWN = (
    *("batch_input_shape", "batch_shape", "batch_size", "weights", "rank", "shape", "kernel"),
    *("bias", "init", "data_type", "dilation", "stride", "input_channels"),
)

POSITIONAL = "arguments.positional"  # the row whose arguments are passed by position

# Arguments of the constructor, with what is tried for each.
_ARGUMENTS: dict[str, tuple[Row, ...]] = {
    "kernel_size": _PAIRS,
    "strides": _PAIRS,
    "dilation_rate": _PAIRS,
    "filters": (("numpy_int64", "np.int64(4)", "4"), *_COUNTS),
    "groups": (*_COUNTS, ("not_dividing", "3"), ("too_many", "64")),
    "padding": (
        ("upper_case", "'SAME'", "'same'"),
        ("capital", "'Valid'", "'valid'"),
        ("mixed_case", "'sAmE'", "'same'"),
        ("numpy_text", "np.str_('same')", "'same'"),
        ("causal", "'causal'"),
        ("full", "'full'"),
        ("empty", "''"),
        ("space", "' same'"),
        ("digit", "'1'"),
        ("bytes", "b'same'"),
        ("none", "None"),
        ("number", "0"),
        ("true", "True"),
        ("float", "1.0"),
        ("set", "{'same'}"),
        ("list", "['valid']"),
        ("pads", "(1, 1)"),
        ("pads_nested", "((1, 1), (1, 1))"),
        ("dict", "{}"),
    ),
    "data_format": (
        ("none", "None", "'channels_last'"),
        ("capital", "'Channels_Last'", "'channels_last'"),
        ("numpy_text", "np.str_('channels_last')", "'channels_last'"),
        ("upper_case", "'CHANNELS_LAST'", "'channels_last'"),
        ("channels_first", "'channels_first'"),
        ("onnx", "'NHWC'"),
        ("empty", "''"),
        ("any", "'any'"),
        ("space", "'channels_last '"),
        ("number", "0"),
        ("true", "True"),
        ("bytes", "b'channels_last'"),
    ),
    "activation": (
        ("none", "None", "'linear'"),
        ("relu", "'relu'"),
        ("relu6", "'relu6'"),
        ("alias", "'swish'", "'silu'"),
        ("hard_alias", "'hard_swish'", "'hard_silu'"),
        ("softmax", "'softmax'"),
        ("config", "{'class_name': 'relu', 'config': {}}"),
        ("unknown", "'nope'"),
        ("upper_case", "'RELU'"),
        ("capital", "'Relu'"),
        ("layer_name", "'LeakyReLU'"),
        ("empty", "''"),
        ("number", "3"),
        ("zero", "0"),
        ("true", "True"),
        ("list", "['relu']"),
        ("dict", "{}"),
        ("function", "keras.activations.relu", "'relu'"),
        ("layer", "keras.layers.ReLU()", "'relu'"),
        ("leaky_layer", "keras.layers.LeakyReLU(negative_slope=0.5)"),
        ("capped_layer", "keras.layers.ReLU(max_value=6)", "'relu6'"),
        ("layer_class", "keras.layers.ReLU"),
        ("glu", "'glu'"),
        ("to_integers", "lambda z: keras.ops.cast(z, 'int32')"),
        ("numpy_function", "np.abs"),
    ),
    "use_bias": (
        ("false", "False"),
        ("none", "None"),
        ("zero", "0", "False"),
        ("one", "1", "True"),
        ("two", "2"),
        ("text", "'no'"),
        ("empty", "''"),
        ("list", "[]"),
        ("array", "np.array([1, 0])"),
    ),
    "kernel_initializer": (
        *_INITIALIZERS,
        (
            "object",
            "keras.initializers.Constant(2.0)",
            "{'class_name': 'Constant', 'config': {'value': 2.0}}",
        ),
        ("type", "keras.initializers.Zeros", "'zeros'"),
    ),
    "bias_initializer": _INITIALIZERS,
    "kernel_regularizer": (
        *_REGULARIZERS,
        (
            "object",
            "keras.regularizers.L2(0.5)",
            "{'class_name': 'L2', 'config': {'l2': 0.5}}",
        ),
    ),
    "bias_regularizer": _REGULARIZERS,
    "activity_regularizer": (
        *_REGULARIZERS,
        (
            "object",
            "keras.regularizers.L1(0.5)",
            "{'class_name': 'L1', 'config': {'l1': 0.5}}",
        ),
        ("orthogonal", "keras.regularizers.OrthogonalRegularizer()"),
    ),
    "kernel_constraint": (*_CONSTRAINTS, ("object", "keras.constraints.NonNeg()", "'non_neg'")),
    "bias_constraint": _CONSTRAINTS,
    "name": (
        ("plain", "'conv'"),
        ("space", "'a b'"),
        ("accents", "'\\u00fcn\\u00ef'"),
        ("empty", "''"),
        ("slash", "'a/b'"),
        ("number", "3"),
        ("true", "True"),
        ("tuple", "('a',)"),
        ("bytes", "b'conv'"),
    ),
    "trainable": (
        ("false", "False"),
        ("none", "None"),
        ("zero", "0"),
        ("one", "1"),
        ("text", "'x'"),
        ("numpy_bool", "np.True_"),
    ),
    "autocast": (("false", "False"), ("none", "None"), ("one", "1"), ("text", "'x'")),
    "dtype": (
        ("float16", "'float16'"),
        ("bfloat16", "'bfloat16'"),
        ("float64", "'float64'"),
        ("mixed_float16", "'mixed_float16'"),
        ("mixed_bfloat16", "'mixed_bfloat16'"),
        ("numpy_type", "np.float16", "'float16'"),
        ("numpy_dtype", "np.dtype('float64')", "'float64'"),
        ("float_type", "float"),
        (
            "config",
            "{'class_name': 'DTypePolicy', 'config': {'name': 'mixed_bfloat16'}}",
            "'mixed_bfloat16'",
        ),
        ("policy", "keras.DTypePolicy('mixed_float16')", "'mixed_float16'"),
        ("int32", "'int32'"),
        ("bool", "'bool'"),
        ("complex64", "'complex64'"),
        ("string", "'string'"),
        ("half", "'half'"),
        ("double", "'double'"),
        ("upper_case", "'FLOAT32'"),
        ("mixed_float64", "'mixed_float64'"),
        ("int8", "'int8'"),
        ("float8", "'float8_e4m3fn'"),
        ("int8_policy", "keras.dtype_policies.get('int8_from_float32')"),
        ("empty", "''"),
        ("number", "3"),
        ("list", "[]"),
        ("dict", "{'a': 1}"),
    ),
    "input_shape": (
        ("tuple", "(8, 8, 4)"),
        ("list", "[8, 8, 4]"),
        ("unknown_sizes", "(None, None, 4)"),
        ("short", "(8, 8)"),
        ("number", "4"),
        ("none", "None"),
        ("text", "'x'"),
    ),
    "input_dim": (("number", "4"), ("none", "None")),
    "lora_rank": (
        ("two", "2"),
        ("zero", "0"),
        ("none", "None"),
        ("ten", "10"),
        ("numpy_int", "np.int64(2)", "2"),
        ("negative", "-1"),
        ("float", "2.0"),
        ("text", "'a'"),
    ),
    "lora_alpha": (("four", "4"), ("none", "None"), ("float", "0.5")),
    **dict.fromkeys(UNKNOWN, (("given", "1"),)),
}

# Several arguments at once; the value is a dict of them.
_TOGETHER: tuple[Row, ...] = (
    (
        "regularizers",
        "{'kernel_regularizer': 'l2', 'bias_regularizer': 'l1', 'activity_regularizer': 'l1'}",
    ),
    (
        "frozen_regularizers",
        "{'kernel_regularizer': 'l2', 'activity_regularizer': 'l2', 'trainable': False}",
    ),
    ("constraints", "{'kernel_constraint': 'non_neg', 'bias_constraint': 'max_norm'}"),
    ("initializers", "{'kernel_initializer': 'ones', 'bias_initializer': 'zeros'}"),
    (
        "initializers_configs",
        "{'kernel_initializer': {'class_name': 'Constant', 'config': {'value': 1.0}}, "
        "'bias_initializer': {'class_name': 'Constant', 'config': {'value': 3.0}}}",
    ),
    ("strided_and_dilated", "{'strides': 2, 'dilation_rate': 2}"),
    ("strided_and_dilated_otherwise", "{'strides': (1, 2), 'dilation_rate': (2, 1)}"),
    ("lora", "{'lora_rank': 2, 'lora_alpha': 3}"),
    ("activated_and_penalised", "{'activation': 'relu', 'activity_regularizer': 'l1'}"),
    ("lora_constrained", "{'lora_rank': 2, 'kernel_constraint': 'non_neg'}"),
    ("bias_without", "{'use_bias': False, 'bias_regularizer': 'l2', 'bias_constraint': 'nope'}"),
    ("bad_padding_and_kernel", "{'padding': None, 'kernel_size': 0}"),
    ("bad_groups_and_filters", "{'groups': None, 'filters': 0}"),
    ("bad_name_and_filters", "{'name': 'a/b', 'filters': 0}"),
    ("autocast_off_float16", "{'autocast': False, 'dtype': 'float16'}"),
    ("autocast_off_mixed", "{'autocast': False, 'dtype': 'mixed_float16'}"),
    ("trainable_and_named", "{'trainable': False, 'name': 'frozen'}"),
    ("positional", "{}", "{}"),
)
_BUILD: tuple[Row, ...] = (
    ("unknown_batch", "(None, *shape[1:])", "shape"),
    ("list", "list(shape)", "shape"),
    ("numpy_array", "np.array(shape)"),
    ("unknown_sizes", "tuple(n if n == shape[3] else None for n in shape)"),
    ("unknown_channels", "(*shape[:3], None)"),
    ("zero_channels", "(*shape[:3], 0)"),
    ("odd_channels", "(*shape[:3], shape[3] + 1)"),
    ("negative_channels", "(*shape[:3], -4)"),
    ("text_channels", "(*shape[:3], 'a')"),
    ("float_channels", "(*shape[:3], float(shape[3]))"),
    ("zero_batch", "(0, *shape[1:])"),
    ("negative_batch", "(-1, *shape[1:])"),
    ("zero_height", "(shape[0], 0, *shape[2:])"),
    ("zero_width", "(*shape[:2], 0, shape[3])"),
    ("too_low", "(shape[0], 1, *shape[2:])"),
    ("too_narrow", "(*shape[:2], 1, shape[3])"),
    ("negative_height", "(shape[0], -5, *shape[2:])"),
    ("rank_3", "shape[1:]"),
    ("rank_5", "(*shape, 1)"),
    ("rank_2", "shape[2:]"),
    ("none", "None"),
    ("number", "5"),
    ("text", "'abcd'"),
    ("dict", "{}"),
    ("nested", "[shape]"),
    ("floats", "tuple(map(float, shape))"),
)
_INPUT: tuple[Row, ...] = (
    ("float16", "x.astype('float16')"),
    ("float32", "x.astype('float32')"),
    ("float64", "x.astype('float64')"),
    ("big_endian", "x.astype('>f4')"),
    ("int32", "x.astype('int32')"),
    ("int64", "x.astype('int64')"),
    ("uint8", "abs(x).astype('uint8')"),
    ("bool", "x > 0"),
    ("complex64", "x.astype('complex64')"),
    ("list", "x.tolist()"),
    ("in_list", "[x]"),
    ("in_tuple", "(x,)"),
    ("in_dict", "{'a': x}"),
    ("rank_3", "x[0]"),
    ("rank_2", "x[0, 0]"),
    ("rank_5", "x[..., None]"),
    ("rank_0", "np.float32(3)"),
    ("fewer_channels", "x[..., :1]"),
    ("more_channels", "np.concatenate([x, x], axis=-1)"),
    ("no_channels", "x[..., :0]"),
    ("no_samples", "x[:0]"),
    ("no_rows", "x[:, :0]"),
    ("one_row", "x[:, :1]"),
    ("larger", "np.concatenate([x, x], axis=1)"),
    ("more_samples", "np.concatenate([x, x], axis=0)"),
    ("none", "None"),
    ("number", "5"),
    ("text", "'a'"),
    ("numbers", "[1.0]"),
    ("read_only", "np.broadcast_to(x, x.shape)"),
    ("reversed", "x[::-1, ::-1]"),
    ("fortran", "np.asfortranarray(x)"),
    ("objects", "x.astype(object)"),
)
_ASSIGN: tuple[Row, ...] = (
    ("tuple", "tuple(weights)"),
    ("float64", "[w.astype('float64') for w in weights]"),
    ("integers", "[w.astype('int32') for w in weights]"),
    ("fortran", "[np.asfortranarray(w) for w in weights]"),
    ("reversed_views", "[w[::-1] for w in weights]"),
    ("none_at_all", "[]"),
    ("one_fewer", "weights[:-1]"),
    ("one_more", "[*weights, weights[0]]"),
    ("reversed_order", "[*weights, weights[0]][::-1]"),
    ("kernel_transposed", "[weights[0].T, *weights[1:]]"),
    ("kernel_flat", "[weights[0].reshape(-1), *weights[1:]]"),
    ("kernel_larger", "[np.concatenate([weights[0]] * 2), *weights[1:]]"),
    ("last_larger", "[*weights[:-1], np.concatenate([weights[-1]] * 2)]"),
    ("last_of_rank_2", "[*weights[:-1], weights[-1][None]]"),
    ("lists", "[w.tolist() for w in weights]"),
    ("numbers", "[1.0 for w in weights]"),
    ("none", "None"),
    ("number", "3"),
    ("dict", "{}"),
)
_THEN: tuple[Row, ...] = (
    ("frozen", "setattr(layer, 'trainable', False)"),
    ("frozen_and_thawed", "[setattr(layer, 'trainable', flag) for flag in (False, True)]"),
    ("lora", "layer.enable_lora(2)"),
    ("lora_and_thawed", "[layer.enable_lora(2), setattr(layer, 'trainable', True)]"),
    (
        "lora_frozen_and_thawed",
        "[layer.enable_lora(2), *(setattr(layer, 'trainable', flag) for flag in (False, True))]",
    ),
    ("lora_of_rank_zero", "layer.enable_lora(0)"),
    ("lora_of_unknown_initializer", "layer.enable_lora(2, b_initializer='nope')"),
    ("lora_twice", "[layer.enable_lora(2), layer.enable_lora(2)]"),
    ("lora_of_no_rank", "layer.enable_lora(None)"),
    ("activation_reset", "setattr(layer, 'activation', None)"),
    ("unknown_attribute", "layer.nope"),
    (
        "kernel_assigned",
        "[layer(np.zeros((1, 9, 9, 4))), layer.kernel.assign(layer.get_weights()[0] + 1)]",
    ),
    ("built_again", "layer.build((None, 9, 9, 4))"),
    ("built_for_others", "layer.build((None, 9, 9, 3))"),
    ("counted", "layer.count_params()"),
    ("called_twice", "[layer(np.zeros((1, 9, 9, 4), 'float32')), None]"),
    ("called_in_training", "layer(np.zeros((1, 9, 9, 4), 'float32'), training=True)"),
)
_THEN_OF_KERAS: tuple[Row, ...] = (
    (
        "strides_changed",
        "[layer(keras.ops.zeros((1, 9, 9, 4))), setattr(layer, 'strides', (3, 3))]",
    ),
    ("policy_changed", "setattr(layer, 'dtype_policy', keras.DTypePolicy('float16'))"),
    (
        "policy_of_integers",
        "setattr(layer, 'dtype_policy', keras.dtype_policies.get('int8_from_float32'))",
    ),
    (
        "loaded_in_part",
        "layer.load_own_variables({'0': layer.kernel + 1, '1': keras.ops.zeros((99,))})",
    ),
)
_GLOBAL: tuple[Row, ...] = (
    ("channels_first", "{'data_format': 'channels_first'}"),
    ("channels_last", "{'data_format': 'channels_last'}"),
    ("mixed_float16", "{'dtype': 'mixed_float16'}"),
    ("mixed_bfloat16", "{'dtype': 'mixed_bfloat16'}"),
    ("float64", "{'dtype': 'float64'}"),
)
MODES = (
    *("graph", "xla", "predict", "sequential", "functional", "stateless", "revived"),
    *("serialized", "copied", "copied_apart", "pickled", "saved", "saved_lora", "reloaded"),
    *("stored_lora", "loaded_lora", "stateless_losses", "any_size", "any_channels"),
    *("named_apart", "masked", "kept_in_full", "trained", "trained_through"),
)

_STAGES: tuple[tuple[str, Stage, tuple[Row, ...]], ...] = (
    *((argument, Stage.CONSTRUCT, rows) for argument, rows in _ARGUMENTS.items()),
    ("arguments", Stage.CONSTRUCT, _TOGETHER),
    ("build", Stage.BUILD, _BUILD),
    ("input", Stage.CALL, _INPUT),
    ("set_weights", Stage.ASSIGN, _ASSIGN),
    ("then", Stage.THEN, (*_THEN, *_THEN_OF_KERAS)),
    ("global", Stage.GLOBAL, _GLOBAL),
    ("mode", Stage.MODE, tuple((mode, repr(mode)) for mode in MODES)),
)

# Where Keras' own backends differ, or the reference from Keras on purpose.
_FRACTIONS = (
    (Stage.SHAPE, Stage.BUILD, Stage.CALL),
    "Keras computes with a fractional size as far as its backend does; the reference refuses it",
)
_SOURCES = (
    (Stage.CONFIG, Stage.REVIVE),
    "Keras saves the code of a function, where its source can be found",
)
_FLOAT_COUNTS = (
    (Stage.CALL,),
    "TensorFlow refuses a NumPy float as a size of a grouped convolution, JAX does not",
)
_LORA_RANKS = ((Stage.BUILD,), "TensorFlow raises TypeError, other backends ValueError")
_LAYERS = ((Stage.CONFIG,), "a layer stays an object in the configuration")
_DIFFERS: dict[str, tuple[tuple[Stage, ...], str]] = {
    "strides.fractions": _FRACTIONS,
    "dilation_rate.fractions": _FRACTIONS,
    "filters.numpy_float": _FLOAT_COUNTS,
    "groups.numpy_float": _FLOAT_COUNTS,
    "lora_rank.float": _LORA_RANKS,
    "lora_rank.text": _LORA_RANKS,
    "activation.layer": _LAYERS,
    "activation.capped_layer": _LAYERS,
    **{
        f"{side}_initializer.{what}": _SOURCES
        for side in ("kernel", "bias")
        for what in ("callable", "callable_without_dtype")
    },
}


# Beside what the documentation has: "int or tuple/list of 2 integer", "a positive int", "bool",
# "string"; `None` where it has a meaning, integers of NumPy, and a case of letters are let pass.
_NO_PAIRS = ("true", "trues", "set", "dict", "float", "floats", "fraction", "fractions")
_NO_COUNTS = ("true", "false", "numpy_float", "float", "fraction")
_UNDOCUMENTED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("kernel_size", "strides", "dilation_rate"), _NO_PAIRS),
    "filters": (*_NO_COUNTS, "none"),
    "groups": (*_NO_COUNTS, "none"),
    "padding": ("list", "pads", "pads_nested"),
    "use_bias": ("none", "two", "text", "empty", "list", "array"),
    "autocast": ("none", "one", "text"),
    "dtype": ("int32", "bool", "complex64", "string"),
    "input_shape": ("short", "number", "text"),
    "lora_rank": ("zero", "negative", "float", "text"),
    "activation": ("layer_class",),
}


# Which the reference does not have, or has as Keras and may not be held against itself.
_ONLY_KERAS = {
    *(f"then.{what}" for what, *_ in _THEN_OF_KERAS),
    *("activation.glu", "activation.numpy_function"),
}


def _all() -> Iterator[Variation]:
    for argument, stage, rows in _STAGES:
        for what, source, *spells in rows:
            name = f"{argument}.{what}"
            differs, why = _DIFFERS.get(name, ((), ""))
            yield Variation(
                name=name,
                stage=stage,
                source=source,
                spells=spells[0] if spells else "",
                differs=differs,
                why=why,
                undocumented=what in _UNDOCUMENTED.get(argument, ()),
                only_keras=name in _ONLY_KERAS,
            )


VARIATIONS: dict[str, Variation] = {row.name: row for row in _all()}
