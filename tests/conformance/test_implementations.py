"""Who is measured: what names and objects mean, what is refused, and how a script reaches it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import planted
import pytest

import reference_impl
from conformance.campaign.run import environment
from conformance.capabilities import Capabilities
from conformance.case import Case
from conformance.errors import UsageError
from conformance.implementations import Implementation, adapter
from conformance.implementations.info import Info
from conformance.reproducers.reproducer import Shown, script
from conformance.results import Status
from conformance.targets import ADAPTERS, adapter_of, known_names, resolve, wrap

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))


class Plain:
    """A layer without a base class."""

    def __init__(self, filters: int, kernel_size: Any, **kwargs: Any) -> None: ...

    def build(self, input_shape: Any) -> None: ...


def factory(filters: int, kernel_size: Any, **kwargs: Any) -> reference_impl.Conv2D:
    return reference_impl.Conv2D(filters, kernel_size, **kwargs)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (reference_impl.conv2d, "function"),
        (reference_impl.Conv2D, "layer"),
        (Plain, "layer"),
        (factory, "layer"),
    ],
)
def test_layers_and_functions_are_told_apart(target: Any, kind: str):
    assert wrap("planted", target).kind == kind


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("refrence", ["'refrence'", ", ".join(known_names()), "did you mean 'reference'?"]),
        ("nothing-like-it", ["'nothing-like-it'", "module:attr"]),
        ("planted:swaped_dilation", ["'swaped_dilation'", "did you mean 'swapped_dilation'?"]),
        ("planted:not_callable", ["'planted:not_callable'", "int 3"]),
        ("no_such_module:conv2d", ["'no_such_module'", "there is no module"]),
        ("planted.deeper:conv2d", ["'planted.deeper'"]),
        (":conv2d", ["':conv2d'", "module:attr"]),
        ("planted:", ["'planted:'", "module:attr"]),
    ],
)
def test_what_is_no_implementation_is_refused_by_name(name: str, words: list[str]):
    with pytest.raises(UsageError) as caught:
        resolve(name)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_naming_an_adapter_keeps_its_name():
    here = [name for name in ADAPTERS if not adapter_of(name).missing()]
    assert [resolve(name).name for name in here] == here


def test_an_adapter_without_its_engine_says_what_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(adapter, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        resolve("keras-jax")
    assert str(caught.value) == (
        "keras-jax needs keras and jax, which is not installed; "
        "pip install 'conv2d-conformance[keras-jax]' brings it"
    )
    assert "keras-jax" not in known_names()
    assert "reference" in known_names()


class Lacks(Implementation):
    """Neither conv2d nor layer."""


class CannotBeMade(Implementation):
    def __init__(self) -> None:
        raise OSError("no licence found")

    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any: ...


class Promises(planted.Declared):
    capabilities = Capabilities(gradients=True)


class SaysItInADict(planted.Declared):
    capabilities = {"groups": False}  # type: ignore[assignment]  # noqa: RUF012


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Lacks, ["'mine'", "neither conv2d nor layer"]),
        (Lacks(), ["'mine'", "neither conv2d nor layer"]),
        (CannotBeMade, ["creating 'mine' failed", "OSError: no licence found"]),
        (Promises, ["'mine'", "claims gradients", "no method gradients"]),
        (SaysItInADict, ["'mine'", "conformance.Capabilities", "{'groups': False}"]),
        (3, ["'mine'", "int 3"]),
        (None, ["'mine'", "NoneType None"]),
    ],
)
def test_an_implementation_that_lacks_something_is_refused_by_name(target: Any, words: list[str]):
    with pytest.raises(UsageError) as caught:
        wrap("mine", target)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


# Adapters -----------------------------------------------------------------------------------------


def test_naming_adapters_imports_none_of_their_engines():
    engines = {module for name in ADAPTERS for module in adapter_of(name).requires}
    source = (
        "import sys; from conformance.targets import ADAPTERS, adapter_of; "
        f"[adapter_of(name) for name in ADAPTERS]; print({engines!r} & {{*sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_tells_what_it_is_and_needs(name: str):
    kind = adapter_of(name)
    assert kind.name == name
    assert kind.summary.endswith(".")
    assert bool(kind.extra) == bool(kind.requires) == bool(kind.distributions)
    assert set(kind.distributions) <= set(environment())


@pytest.mark.parametrize("name", [name for name in ADAPTERS if name != "reference"])
def test_an_adapter_is_known_to_the_project(name: str):
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    (untyped,) = PROJECT["tool"]["mypy"]["overrides"]
    assert adapter_of(name).extra in extras
    assert adapter_of(name).extra in everything.partition("[")[2].rstrip("]").split(",")
    assert {f"{module}.*" for module in adapter_of(name).requires} <= set(untyped["module"])


# Reproducers --------------------------------------------------------------------------------------


def reproduced(target: Any, name: str) -> str:
    """The script for `target`, which `resolve` finds by `name` if there is one."""
    implementation = wrap(name or "mine", target)
    reproducer = implementation.reproducer(name)
    subject = Info(name=implementation.name, kind=implementation.kind, reproducer=reproducer)
    case = Case.parse("in1x3x3x1-f1-k3-integers.0")
    return script(Shown(cases=(case,), check="output_shape", status=Status.FAILED), subject)


@pytest.mark.parametrize(
    ("target", "name", "words"),
    [
        ("keras-torch", "", ['os.environ["KERAS_BACKEND"] = "torch"', "keras.layers.Conv2D("]),
        ("keras-tensorflow-graph", "", ["import tensorflow as tf", "tf.function(layer)(x)"]),
        ("keras-tensorflow-xla", "", ["tf.function(layer, jit_compile=True)(x)"]),
        ("reference", "", ["import reference_impl", "reference_impl.Conv2D("]),
        ("torch", "torch", ["implementation = resolve('torch')", "implementation.conv2d("]),
        (reference_impl.conv2d, "mylib:a.conv2d", ["from mylib import a", "a.conv2d(x"]),
        (reference_impl.conv2d, "", ["implementation(x, kernel"]),
        (reference_impl.conv2d, "keras-foo", ["resolve('keras-foo')", "implementation.conv2d("]),
        (planted.Declared, "", ["implementation.conv2d("]),
    ],
)
def test_a_script_reaches_what_was_measured(target: Any, name: str, words: list[str]):
    made = reproduced(adapter_of(target) if isinstance(target, str) else target, name)
    for word in words:
        assert word in made


def test_a_name_like_that_of_an_adapter_of_keras_sets_no_backend():
    assert "KERAS_BACKEND" not in reproduced(reference_impl.conv2d, "keras-foo")
    assert "KERAS_BACKEND" in reproduced(adapter_of("keras-jax"), "mine")
