"""Who is measured: by the name of an adapter or an installed package, or as ``module:attr``."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from conformance.capabilities import Capabilities
from conformance.errors import UsageError, describe
from conformance.implementations.base import (
    FunctionImplementation,
    Implementation,
    LayerImplementation,
)

GROUP = "conv2d_conformance.implementations"
PROGRAM = "cmd:"
VECTORS = "vectors:"


@dataclass(frozen=True, slots=True)
class Adapter:
    """An implementation that ships with the suite; naming it imports nothing of its engine.

    Attributes:
        target: where it is, as ``module:attr`` below this package.
        summary: what it is, in one sentence.
        needs: the modules its engine consists of.
        extra: the extra of this distribution that installs them, or empty.
    """

    target: str
    summary: str
    needs: tuple[str, ...] = ()
    extra: str = ""

    @property
    def missing(self) -> list[str]:
        """The modules that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]

    @property
    def remedy(self) -> str:
        """The command that installs what it needs."""
        return f"pip install 'conv2d-conformance[{self.extra}]'"


_TF = ("keras", "tensorflow")
ADAPTERS: dict[str, Adapter] = {
    "keras-tensorflow": Adapter(
        "keras_tensorflow:KerasTensorFlow",
        "Real keras.layers.Conv2D on the TensorFlow backend, called eagerly.",
        _TF,
        "tensorflow",
    ),
    "keras-tensorflow-graph": Adapter(
        "keras_tensorflow:KerasTensorFlowGraph",
        "The same, called through tf.function.",
        _TF,
        "tensorflow",
    ),
    "keras-tensorflow-xla": Adapter(
        "keras_tensorflow:KerasTensorFlowXLA", "The same, compiled by XLA.", _TF, "tensorflow"
    ),
    "keras-jax": Adapter(
        "keras_jax:KerasJax", "Keras' layer on the JAX backend.", ("keras", "jax"), "keras-jax"
    ),
    "keras-torch": Adapter(
        "keras_torch:KerasTorch",
        "Keras' layer on the PyTorch backend.",
        ("keras", "torch"),
        "keras-torch",
    ),
    "keras-openvino": Adapter(
        "keras_openvino:KerasOpenVINO",
        "Keras' layer on the OpenVINO backend.",
        ("keras", "openvino"),
        "keras-openvino",
    ),
    "torch": Adapter("torch:Torch", "torch.nn.functional.conv2d.", ("torch",), "torch"),
    "jax": Adapter("jax:Jax", "jax.lax.conv_general_dilated.", ("jax",), "jax"),
    "onnxruntime": Adapter(
        "onnxruntime:OnnxRuntime",
        "The Conv operator of ONNX Runtime.",
        ("onnxruntime", "onnx"),
        "onnxruntime",
    ),
    "openvino": Adapter(
        "openvino:OpenVINO", "The Convolution operation of OpenVINO.", ("openvino",), "openvino"
    ),
    "litert": Adapter(
        "litert:LiteRT",
        "A Keras layer converted to LiteRT.",
        (*_TF, "ai_edge_litert"),
        "litert",
    ),
    "scipy": Adapter("scipy:SciPy", "scipy.signal.correlate2d.", ("scipy",), "scipy"),
    "scipy-fft": Adapter("scipy:SciPyFFT", "scipy.signal.fftconvolve.", ("scipy",), "scipy"),
    "reference": Adapter(
        "reference:Reference", "The reference layer; its values are what others are judged by."
    ),
}


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody to measure, in a form that can be sent to another process.

    Attributes:
        name: as shown, and as given to ``--impl`` where `payload` is None.
        payload: the object itself, pickled, where no other process could import it by name.
        expected_failures: the entries it carries here, which an import elsewhere may not show.
    """

    name: str
    payload: bytes | None = None
    expected_failures: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)


def target_of(thing: Any, name: str = "") -> Target:
    """The target of a name, a function, a layer class, or an `Implementation` or its class.

    Raises:
        UsageError: it cannot be sent to another process, or is nothing that can be measured.
    """
    if isinstance(thing, str):
        return Target(thing)
    wrapped = wrap(name or _own_name(thing), thing)
    is_plain = not isinstance(thing, Implementation) and not (
        inspect.isclass(thing) and issubclass(thing, Implementation)
    )
    importable = _importable_name(thing) if is_plain and not name else ""
    entries = tuple(wrapped.expected_failures)
    if importable:
        return Target(importable, expected_failures=entries)
    return Target(wrapped.name, _pickled(thing), entries)


def installed() -> dict[str, str]:
    """Implementations that installed packages register: name to ``module:attr``, sorted.

    Names that more than one has are left out; `refuse_unknown` tells of them.
    """
    return {name: where[0] for name, where in _registered().items() if len(where) == 1}


def _registered() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        own = ADAPTERS.get(entry.name)
        where = found.setdefault(entry.name, [f"{__name__}.{own.target}"] if own else [])
        if entry.value not in where:
            where.append(entry.value)
    return found


def known_names() -> list[str]:
    """The names that can be given: of adapters whose engine is here, and of installed packages."""
    here = [name for name, adapter in ADAPTERS.items() if not adapter.missing]
    return [*here, *installed()]


def resolve(target: str | Target) -> Implementation:
    """The implementation that `target` means; not set up yet.

    Raises:
        UsageError: there is no such implementation, module or attribute, its engine is not
            installed, or it is neither a function nor a layer.
    """
    if isinstance(target, Target) and target.payload is not None:
        return wrap(target.name, pickle.loads(target.payload))
    name = target.name if isinstance(target, Target) else target
    if name.startswith(PROGRAM):
        from conformance.implementations.program import ProgramImplementation

        return ProgramImplementation(name)
    if name.startswith(VECTORS):
        from conformance.vectors import RecordedOutputs

        return RecordedOutputs(name.removeprefix(VECTORS))
    refuse_unknown(name)
    if name in ADAPTERS:
        return wrap(name, _import(f"{__name__}.{ADAPTERS[name].target}", name))
    if ":" not in name:
        return wrap(name, _import(installed()[name], name))
    return wrap(name, _import(name, name))


def refuse_unknown(name: str) -> None:
    """Refuse a name that means nothing here, without importing anything.

    Raises:
        UsageError: one line with what is known.
    """
    where = _registered().get(name, [])
    if len(where) > 1:
        raise UsageError(
            f"{len(where)} implementations are called {name!r}: {', '.join(where)}; uninstall one, "
            "or name it as module:attr"
        )
    if name in ADAPTERS:
        adapter = ADAPTERS[name]
        if adapter.missing:
            raise UsageError(
                f"{name} needs {' and '.join(adapter.missing)}, which is not installed; "
                f"{adapter.remedy} brings it"
            )
    elif not name.startswith((PROGRAM, VECTORS)) and ":" not in name and name not in installed():
        close = difflib.get_close_matches(name, [*ADAPTERS, *installed()], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        stem = name.partition(".")[0]
        if Path(f"{stem}.py").exists():
            attribute = name.removeprefix(stem).lstrip(".") or "conv2d"
            hint = f"; for something in {stem}.py write {stem}:{attribute}"
        raise UsageError(
            f"unknown implementation {name!r}: installed are {', '.join(known_names())}, and "
            f"anything importable as module:attr{hint}"
        )


def wrap(name: str, target: Any) -> Implementation:
    """An `Implementation` called `name` around a function, a layer class or a factory.

    A class with ``build``, or a callable whose first parameter is ``filters``, is a layer; any
    other callable is a function.

    Raises:
        UsageError: `target` cannot be called, or is an `Implementation` that lacks something.
    """
    if inspect.isclass(target) and issubclass(target, Implementation):
        try:
            target = target()
        except Exception as error:  # noqa: BLE001 - a stranger's constructor
            raise UsageError(f"making {name!r} fails: {describe(error)}") from None
    if isinstance(target, Implementation):
        with contextlib.suppress(AttributeError):  # a property or a frozen dataclass keeps its own
            target.name = name
        _refuse_incomplete(target)
        return target
    if not callable(target):
        raise UsageError(
            f"{name!r} is {type(target).__name__} {_shown(target)}, not a function or a layer class"
        )
    if hasattr(target, "build") and not inspect.isclass(target):
        raise UsageError(f"{name!r} is a layer that was already made; give its class or a factory")
    made: Implementation
    if (inspect.isclass(target) and hasattr(target, "build")) or (
        _first_parameter(target) == "filters"
    ):
        made = LayerImplementation(name, target, version=_version(target))
    else:
        made = FunctionImplementation(name, target, version=_version(target))
    made.expected_failures = getattr(target, "expected_failures", ())
    return made


def _refuse_incomplete(implementation: Implementation) -> None:
    name = implementation.name
    try:
        capabilities = implementation.capabilities
    except Exception as error:  # noqa: BLE001 - a stranger's property
        raise UsageError(
            f"{name!r}: capabilities cannot be read before setup() ({describe(error)})"
        ) from None
    if capabilities is not None and not isinstance(capabilities, Capabilities):
        raise UsageError(
            f"{name!r}: capabilities must be a conformance.Capabilities, not {_shown(capabilities)}"
        )
    own = type(implementation).prepare is not Implementation.prepare
    if implementation.conv2d is None and implementation.layer is None and not own:
        raise UsageError(f"{name!r} defines neither conv2d nor layer")
    for method, first in (("conv2d", "x"), ("gradients", "x"), ("layer", "filters")):
        static = inspect.getattr_static(type(implementation), method)
        if inspect.isfunction(static) and _first_parameter(static) == first:
            raise UsageError(
                f"{name!r}: {method} takes {first} first and would be given the object itself; "
                "define it with self, or as a staticmethod"
            )
    if implementation.declared.gradients and implementation.gradients is None:
        raise UsageError(f"{name!r} claims gradients but defines no method gradients")


def _import(path: str, name: str) -> Any:
    module_name, _, attribute = path.partition(":")
    if module_name.endswith(".py"):
        raise UsageError(f"{name!r}: write {module_name.removesuffix('.py')}:{attribute}")
    if not module_name or not attribute:
        raise UsageError(f"{name!r} must have the form module:attr, such as mylib.conv:conv2d")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        target: Any = importlib.import_module(module_name)
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise UsageError(
                f"cannot import module {module_name!r} of {name!r}: there is no module "
                f"{error.name!r} here or among the installed packages"
            ) from None
        raise UsageError(f"importing {module_name!r} fails: {describe(error)}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module
        raise UsageError(f"importing {module_name!r} fails: {describe(error)}") from None
    for part in attribute.split("."):
        if not hasattr(target, part):
            public = [n for n in dir(target) if not n.startswith("_")]
            close = difflib.get_close_matches(part, public, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{name!r}: {module_name!r} has no attribute {attribute!r}{hint}")
        target = getattr(target, part)
    return target


def _own_name(thing: Any) -> str:
    if isinstance(thing, Implementation) or (
        inspect.isclass(thing) and issubclass(thing, Implementation)
    ):
        kind = thing if inspect.isclass(thing) else type(thing)
        return thing.name if isinstance(thing.name, str) and thing.name else kind.__name__
    name = getattr(thing, "__name__", type(thing).__name__)
    return "lambda" if name == "<lambda>" else str(name)


def _importable_name(thing: Any) -> str:
    """``module:attr`` of a function or class that a fresh process would find, else empty."""
    module, path = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
    if not module or "<" in path or not path or not _is_findable(module):
        return ""
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return f"{module}:{path}" if found is thing else ""


@cache
def _is_findable(module: str) -> bool:
    """Whether a fresh process with the same path would import the very file that is loaded here."""
    if module == "__main__":
        return False
    loaded = getattr(sys.modules.get(module), "__file__", None)
    path: Any = None
    spec: Any = None
    for number, _ in enumerate(parts := module.split("."), start=1):
        name = ".".join(parts[:number])
        # importlib.util.find_spec would answer from what is loaded.
        found = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = next((one for one in found if one is not None), None)
        if spec is None:
            return False
        path = spec.submodule_search_locations
    return bool(loaded and spec.origin and Path(spec.origin) == Path(loaded))


def _pickled(thing: Any) -> bytes:
    import cloudpickle

    module = sys.modules.get(
        getattr(thing, "__module__", "") if callable(thing) else type(thing).__module__
    )
    by_value = module is not None and not _is_findable(module.__name__)
    if by_value and module is not None and module.__name__ != "__main__":
        cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(thing))
    except Exception as error:  # noqa: BLE001 - whatever a stranger's object raises
        raise UsageError(
            f"{_own_name(thing)!r} cannot be sent to a process of its own ({describe(error)}); "
            "put it in a module and give module:attr, or make in setup() what cannot be copied"
        ) from None


def _shown(value: object) -> str:
    return " ".join(repr(value).split())[:60]


def _first_parameter(target: Callable[..., Any]) -> str | None:
    try:
        return next(iter(inspect.signature(target).parameters), None)
    except (TypeError, ValueError):  # builtins without a signature
        return None


def _version(target: Any) -> str:
    package = sys.modules.get(str(getattr(target, "__module__", "")).partition(".")[0])
    return str(getattr(package, "__version__", ""))


__all__ = [
    "ADAPTERS",
    "Adapter",
    "Implementation",
    "Target",
    "installed",
    "known_names",
    "refuse_unknown",
    "resolve",
    "target_of",
    "wrap",
]
