"""The names that can be given: of adapters, of installed packages, ``module:attr``, and others."""

from __future__ import annotations

import difflib
import importlib
import os
import pickle
import sys
from importlib.metadata import entry_points
from inspect import isclass
from pathlib import Path
from typing import Any

from conformance.adapters.keras_modes import MODES
from conformance.errors import CannotImportError, UsageError, describe
from conformance.implementations.base import Implementation, LayerImplementation
from conformance.implementations.program import PROGRAM, ProgramImplementation
from conformance.implementations.recorded import VECTORS, RecordedOutputs
from conformance.targets.keras_layers import expect_keras, makes_keras
from conformance.targets.shipped import ADAPTERS, adapter_of
from conformance.targets.target import Target
from conformance.targets.wrapping import wrap, wrap_keras

GROUP = "conv2d_conformance.implementations"


def installed() -> dict[str, str]:
    """Implementations that installed packages register: name to ``module:attr``, sorted.

    Names that more than one has are left out; `refuse_unknown` tells of them.
    """
    return {name: where[0] for name, where in _registered().items() if len(where) == 1}


def _registered() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        own = ADAPTERS.get(entry.name)
        where = found.setdefault(entry.name, [own] if own else [])
        if entry.value not in where:
            where.append(entry.value)
    return found


def known_names() -> list[str]:
    """The names that can be given: of adapters whose engine is here, and of installed packages."""
    here = [name for name in ADAPTERS if not adapter_of(name).missing()]
    return [*here, *installed()]


def importable(name: str) -> str:
    """``module:attr`` of what an installed package registers as `name`; else `name` itself."""
    return name if name in ADAPTERS else installed().get(name, name)


def resolve(target: str | Target) -> Implementation:
    """The implementation that `target` means; not set up yet.

    Foreign code is imported, and a factory of layers called once to see if they are Keras' own.

    Raises:
        UsageError: there is no such implementation, module or attribute, its engine is not
            installed, it is neither a function nor a layer, or it has no such mode.
    """
    expect_keras()
    if isinstance(target, Target) and target.payload is not None:
        return _wrapped(target.name, pickle.loads(target.payload))
    name = target.name if isinstance(target, Target) else target
    if name.startswith(PROGRAM):
        return ProgramImplementation(name)
    if name.startswith(VECTORS):
        return RecordedOutputs(name.removeprefix(VECTORS))
    refuse_unknown(name)
    plain, mode = _split_mode(name)
    if plain in ADAPTERS:
        made = wrap(name, adapter_of(plain))
    else:
        made = _wrapped(name, _import(plain if ":" in plain else installed()[plain], plain))
    if mode:
        from conformance.adapters.keras_layer import Keras

        if not isinstance(made, Keras):
            raise UsageError(f"{name!r}: only Keras layers have modes, and {plain!r} is none")
        made.mode = mode
    return made


def _wrapped(name: str, thing: Any) -> Implementation:
    made = wrap(name, thing)
    if isinstance(made, LayerImplementation) and not isclass(thing) and makes_keras(thing):
        return wrap_keras(name, thing)
    return made


def _split_mode(name: str) -> tuple[str, str]:
    """What stands before and after the @ in a name such as ``mylib:Layer@graph``."""
    plain, _, mode = name.partition("@")
    return plain, mode


def refuse_unknown(name: str) -> None:
    """Refuse a name that means nothing here, without importing what it means.

    Raises:
        UsageError: one line with what is known.
    """
    if name.startswith((PROGRAM, VECTORS)):
        return
    given, (name, mode) = name, _split_mode(name)
    if given != name and mode not in MODES:
        raise UsageError(f"{given!r}: there is no mode {mode!r}; allowed are {', '.join(MODES)}")
    where = _registered().get(name, [])
    if len(where) > 1:
        raise UsageError(
            f"{len(where)} implementations are called {name!r}: {', '.join(where)}; uninstall one, "
            "or name it as module:attr"
        )
    if name in ADAPTERS:
        adapter = adapter_of(name)
        if missing := adapter.missing():
            raise CannotImportError(
                f"{name} needs {' and '.join(missing)}, which is not installed; "
                f"{adapter.remedy()} brings it"
            )
    elif ":" not in name and name not in installed():
        close = difflib.get_close_matches(name, [*ADAPTERS, *installed()], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        stem = name.partition(".")[0]
        if Path(f"{stem}.py").exists():
            attribute = name.removeprefix(stem).lstrip(".") or "conv2d"
            hint = f"; for something in {stem}.py write {stem}:{attribute}"
        raise UsageError(
            f"unknown implementation {name!r}; available are {', '.join(known_names())}, and "
            f"anything importable as module:attr{hint}"
        )


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
    except ImportError as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and (module_name == missing or module_name.startswith(missing + ".")):
            raise CannotImportError(
                f"cannot import module {module_name!r} of {name!r}: there is no module "
                f"{missing!r} here or among the installed packages"
            ) from None
        raise CannotImportError(f"importing {module_name!r} failed: {describe(error)}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module
        raise UsageError(f"importing {module_name!r} failed: {describe(error)}") from None
    for part in attribute.split("."):
        if not hasattr(target, part):
            public = [n for n in dir(target) if not n.startswith("_")]
            close = difflib.get_close_matches(part, public, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise CannotImportError(
                f"{name!r}: {module_name!r} has no attribute {attribute!r}{hint}"
            )
        target = getattr(target, part)
    return target
