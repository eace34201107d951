"""Which dtype a layer computes in and which its weights have (Keras 3.15.1's dtype policies)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
_OTHERS = ("bool", "string", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2")
_KNOWN = {*_FLOATS, *_INTEGERS, *_OTHERS}
_PYTHON_TYPES: dict[Any, str] = {bool: "bool", int: "int64", float: "float32", str: "string"}
_QUANTIZED = ("int8", "float8", "int4", "gptq", "awq")


@dataclass(frozen=True, slots=True)
class DTypePolicy:
    """A named pair of dtypes, all three as strings."""

    name: str
    compute_dtype: str
    variable_dtype: str

    def get_config(self) -> dict[str, str]:
        """Return the constructor argument of Keras' ``DTypePolicy``."""
        return {"name": self.name}

    def serialize(self) -> dict[str, Any]:
        """Return Keras' config dict of this policy."""
        return {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": self.get_config(),
            "registered_name": None,
        }


def get(identifier: Any) -> DTypePolicy:
    """Return the policy for a layer's ``dtype`` argument; ``None`` is ``"float32"``.

    Accepts a dtype name, ``"mixed_float16"``, ``"mixed_bfloat16"``, a NumPy dtype or scalar type, a
    Python type, a policy (also Keras' own) or its config dict. Raises ``ValueError`` for anything
    else. As in Keras, integer and other dtypes are accepted here and refused when the layer is
    built. Quantized policies are refused: Conv2D has no quantized computation.
    """
    if identifier is None:
        identifier = "float32"
    elif isinstance(identifier, dict):
        if "class_name" not in identifier:
            raise ValueError(f"Unknown `config` as a `dict`, config={identifier}")
        identifier = identifier["config"]["name"]
    elif hasattr(identifier, "compute_dtype") and hasattr(identifier, "variable_dtype"):
        identifier = identifier.name
    if isinstance(identifier, str):
        return _from_name(identifier)
    try:
        name = _PYTHON_TYPES.get(identifier) or getattr(identifier, "name", None)
    except TypeError:  # unhashable
        name = None
    name = name or getattr(identifier, "__name__", None)
    if name not in _KNOWN:
        raise ValueError(
            "Cannot interpret `dtype` argument. Expected a string or an instance of DTypePolicy. "
            f"Received: dtype={identifier}"
        )
    return DTypePolicy(name, name, name)


def _from_name(name: str) -> DTypePolicy:
    if name in _MIXED:
        return DTypePolicy(name, _MIXED[name], "float32")
    if name.startswith(_QUANTIZED):
        raise ValueError(
            "Cannot convert `policy` into a valid pair (`mode`, `source_name`) to instantiate "
            f"`QuantizedDTypePolicy`. Received: policy={name}"
        )
    dtype = "int64" if name == "int" else name
    if dtype not in _KNOWN:
        raise ValueError(
            f"Cannot convert '{name}' to a mixed precision DTypePolicy. Valid policies include "
            "'mixed_float16', 'mixed_bfloat16', and the name of any float dtype such as 'float32'."
        )
    return DTypePolicy(name, dtype, dtype)
