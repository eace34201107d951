"""A user's own Keras layer is measured by the adapter of Keras, in every mode."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest
from tried import judged, tried

from conformance.adapters.keras_layer import Keras
from conformance.adapters.keras_modes import MODES
from conformance.campaign import run
from conformance.campaign.run import Settings, environment
from conformance.case import Case
from conformance.checks import Judgement, judge
from conformance.errors import UsageError, first_line
from conformance.expectations import shipped
from conformance.implementations.info import Info
from conformance.journals.outcomes import outcomes_of
from conformance.machine import INSTRUCTION_SETS, instruction_set
from conformance.reproducers.reproducer import Shown, script
from conformance.results import Status, Verdict
from conformance.targets import Target, resolve, target_of, wrap

CASES = [
    "in2x5x6x4-f6-k3x2-s1x2-same-cl-a.relu-integers.1",
    "in2x8x9x3-f5-k3-d1x2-mixed_float16-view.sliced-normal.7",
    "in1x4x5x6-f6-k3-g2-cf-nobias-float64-integers.1",
]


@pytest.fixture(autouse=True, scope="module")
def _keras_as_it_was() -> Iterator[None]:
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.enable_traceback_filtering()


@cache
def measured(name: str) -> Any:
    """The implementation called `name`, set up in this process."""
    made = resolve(name)
    made.setup()
    return made


def statuses(name: str, text: str) -> dict[str, Status]:
    return {j.check: j.status for j in judged(Case.parse(text), measured(name))}


@pytest.mark.parametrize("text", CASES)
@pytest.mark.parametrize("attribute", ["Plain", "instance", "make", "make_any", "Operations"])
def test_a_correct_layer_passes_every_check(attribute: str, text: str):
    assert isinstance(measured(f"own_layers:{attribute}"), Keras)
    assert set(statuses(f"own_layers:{attribute}", text).values()) == {Status.PASSED}


@pytest.mark.parametrize("attribute", ["Plain", "Operations"])
def test_a_shape_may_tell_that_glu_halves_the_channels(attribute: str):
    found = statuses(f"own_layers:{attribute}", "in1x3x3x1-f4-k2-a.glu-integers.0")
    assert set(found.values()) == {Status.PASSED}


@pytest.mark.parametrize("text", CASES)
@pytest.mark.parametrize("mode", MODES)
def test_a_correct_layer_passes_in_every_mode(mode: str, text: str):
    assert set(statuses(f"own_layers:Plain@{mode}", text).values()) == {Status.PASSED}


@pytest.mark.parametrize(
    ("mode", "text", "check"),
    [
        ("predict", "in0x1x1x1-f1-k1-integers.0", "output_shape"),
        ("predict", "in1x1x1x1-f1-k1-float64-normal.0", "bounded_values"),
        ("sequential", "in1x1x1x1-f1-k1-float64-normal.0", "bounded_values"),
    ],
)
def test_a_known_fault_of_a_mode_exists_in_real_keras(mode: str, text: str, check: str):
    for name in (f"keras-tensorflow-{mode}", f"own_layers:Plain@{mode}"):
        trial = tried(Case.parse(text), measured(name))
        found = outcomes_of(judge(trial), trial.case, trial.info, shipped())
        assert {o.check: o.status for o in found}[check] is Status.EXPECTED_FAILURE


@pytest.mark.parametrize("mode", MODES)
def test_one_layer_serves_inputs_of_several_sizes_in_every_mode(mode: str):
    for text in (
        "in2x5x6x4-f6-k3x2-same-integers.1",
        "in1x5x6x4-f6-k3x2-same-integers.2",
        "in2x9x7x4-f6-k3x2-same-integers.3",
    ):
        assert statuses(f"own_layers:Plain@{mode}", text)["exact_values"] is Status.PASSED


def test_a_wrong_subclass_is_found():
    found = statuses("own_layers:Swapped", "in2x9x9x3-f4-k3-s1x2-same-integers.1")
    assert found["output_shape"] is Status.FAILED


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own
def test_what_lora_has_added_is_saved():
    text = "in1x4x4x2-f3-k2-but.mode.saved_lora-integers.1"
    assert statuses("own_layers:ForgetsLora", text)["modes_agree"] is Status.FAILED
    assert set(statuses("own_layers:Plain", text).values()) == {Status.PASSED}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own
@pytest.mark.parametrize(
    ("attribute", "variation", "check"),
    [
        ("NamedAlike", "mode.named_apart", "modes_agree"),
        ("PassesMasks", "mode.masked", "modes_agree"),
        ("SavedInHalf", "mode.kept_in_full", "modes_agree"),
        ("SavedInHalfAlways", "mode.kept_in_full", "modes_agree"),
        ("SavedByTraining", "mode.kernel_frozen", "modes_agree"),
        ("PenalizedInHalf", "mode.penalty_in_full", "modes_agree"),
        ("LoraOfOneGroup", "mode.lora_of_groups", "modes_agree"),
        ("LoraInFull", "mode.lora_of_16_bits", "modes_agree"),
        ("KeepsItsBias", "then.bias_assigned", "varied_output"),
        ("TwiceTheGradient", "mode.trained", "modes_agree"),
        ("StopsWhenFrozen", "mode.trained_through", "modes_agree"),
        ("OtherPositions", "arguments.positional", "refusals"),
    ],
)
def test_what_a_call_alone_does_not_show_is_found(attribute: str, variation: str, check: str):
    text = f"in1x7x7x4-f2-k2-s2x1-same-but.{variation}-integers.1"
    assert statuses(f"own_layers:{attribute}", text)[check] is Status.FAILED
    assert set(statuses("own_layers:Plain", text).values()) == {Status.PASSED}


def test_a_bias_of_another_shape_is_not_loaded():
    text = "in1x7x7x4-f2-k2-but.then.loaded_in_part-integers.1"
    assert statuses("own_layers:LoadsAnyShape", text)["refusals"] is Status.FAILED
    assert statuses("own_layers:Plain", text)["refusals"] is Status.PASSED


def test_a_layer_in_numpy_computes_and_is_told_what_keras_cannot_infer():
    found = {j.check: j for j in judged(Case.parse(CASES[0]), measured("own_layers:InNumPy"))}
    lacking = found.pop("compute_output_shape")
    assert {j.status for j in found.values()} == {Status.PASSED}
    assert lacking.status is Status.FAILED
    assert "no compute_output_shape, and Keras cannot infer it (" in lacking.message
    assert "symbolic" in lacking.message


def test_what_tensorflow_lacks_is_unsupported_in_its_own_words():
    case = Case.parse("in2x3x5x6-f4-k3-cf-float64-integers.1")
    for mode in ("eager", "graph", "predict", "functional"):
        name = f"own_layers:Plain@{mode}"
        found = {j.check: j for j in judged(case, measured(name))}
        assert found["output_shape"].status is Status.UNSUPPORTED
        assert found["output_shape"].cause.startswith("The Conv2D op")
        assert "NHWC" in found["output_shape"].cause


def test_known_faults_reach_a_layer_by_what_it_is():
    implementation = measured("own_layers:Plain")
    case = Case.parse("in1x3x3x2-f4-k2-a.sparsemax-normal.2")
    trial = tried(case, implementation)
    assert trial.info.known_as == ("keras-tensorflow",)
    found = outcomes_of(judge(trial), case, trial.info, shipped())
    assert {o.check: o.status for o in found}["bounded_values"] is Status.EXPECTED_FAILURE
    failed = [Judgement("exact_values", Status.FAILED, "wrong")]
    (wrong,) = outcomes_of(failed, Case.parse(CASES[0]), trial.info, shipped())
    assert wrong.status is Status.FAILED


def test_the_version_names_keras_and_its_backend():
    info = measured("own_layers:Plain").info("own_layers:Plain")
    assert info.kind == "layer"
    assert info.version.startswith("Keras 3.")
    assert "TensorFlow 2." in info.version
    assert info.capabilities is None


def test_a_script_makes_the_layer_on_its_backend_and_in_its_mode():
    info = measured("own_layers:Plain@graph").info("own_layers:Plain@graph")
    case = Case.parse("in1x3x3x1-f1-k3-integers.0")
    made = script(Shown(cases=(case,), check="output_shape", status=Status.FAILED), info)
    for words in (
        'os.environ["KERAS_BACKEND"] = "tensorflow"',
        "from own_layers import Plain",
        "layer = Plain(",
        "tf.function(layer)(x)",
    ):
        assert words in made


@pytest.mark.parametrize("mode", MODES)
def test_the_expression_of_a_script_is_the_mode(mode: str):
    import keras
    import numpy as np
    import tensorflow as tf

    x = np.ones((2, 4, 5, 1), "float32")
    layer = keras.layers.Conv2D(2, 3, kernel_initializer="ones")
    layer.build(x.shape)
    names = {"tf": tf, "keras": keras, "layer": layer, "x": x}
    assert (np.asarray(eval(f"{MODES[mode].called}(x)", names)) == 9).all()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_layers:Plain@grph", ["'own_layers:Plain@grph'", "'grph'", *MODES]),
        ("own_layers:conv2d@graph", ["'own_layers:conv2d' is none"]),
        ("reference@graph", ["'reference' is none"]),
    ],
)
def test_a_mode_that_does_not_exist_is_refused_in_one_sentence(name: str, words: list[str]):
    with pytest.raises(UsageError) as caught:
        resolve(name)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_layer_that_was_made_stands_for_its_class():
    import own_layers

    assert target_of(own_layers.instance) == Target("own_layers:Plain")
    assert isinstance(wrap("mine", own_layers.instance), Keras)


# In a process of its own -------------------------------------------------------------------------


def printed(source: str, **environment: str) -> str:
    """What Python prints that finds what is found here, and no other environment."""
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_environment_is_set_before_keras_and_keeps_what_was_set():
    source = (
        "from conformance.targets import resolve; resolve('own_layers:Plain'); "
        "from own_layers import AT_IMPORT as e; "
        "print(e['CUDA_VISIBLE_DEVICES'], e['OMP_NUM_THREADS'], e.get('TF_ENABLE_ONEDNN_OPTS'))"
    )
    assert printed(source, OMP_NUM_THREADS="3") == "-1 3 None"


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_the_backend_is_the_one_that_the_user_has_chosen():
    source = f"""
from conformance.case import Case
from conformance.errors import UsageError
from conformance.targets import resolve
from tried import judged

implementation = resolve("own_layers:Plain@functional")
implementation.setup()
print(implementation.known_as, implementation.version)
for text in {CASES}:
    print({{str(j.status) for j in judged(Case.parse(text), implementation)}})
try:
    resolve("own_layers:Plain@graph").setup()
except UsageError as error:
    print(error)
"""
    about, *statuses, refusal = printed(source, KERAS_BACKEND="torch").splitlines()
    assert about.startswith("('keras-torch-functional',) Keras 3.")
    assert "PyTorch 2." in about
    assert statuses == ["{'passed'}"] * len(CASES)
    assert refusal == (
        "'own_layers:Plain@graph': only tensorflow has the mode 'graph', and Keras was imported "
        "with 'torch'"
    )


def test_a_plain_subclass_conforms_in_a_campaign():
    target = Target("own_layers:Plain")
    settings = Settings(implementations=(target,), examples=6, jobs=1, witness=False)
    report = run.run(settings).report
    assert [r.verdict for r in report.implementations] == [Verdict.CONFORMS]
    assert report.environment["onednn"] in ("on", "off")
    assert report.environment["isa"] == instruction_set()


# What is told of where it runs -------------------------------------------------------------------


def test_the_instruction_set_is_one_that_conditions_know():
    assert instruction_set() in INSTRUCTION_SETS


def test_the_environment_tells_who_had_onednn():
    on = Info(name="a", kind="layer", onednn=True)
    off = Info(name="b", kind="layer", onednn=False)
    unknown = Info(name="c", kind="layer")
    assert environment([on, unknown])["onednn"] == "on"
    assert environment([on, off])["onednn"] == "on for a, off for b"
    assert "onednn" not in environment([unknown])


def test_the_reason_is_told_where_keras_wraps_it():
    text = "Exception encountered when calling Mine.call().\n\n\x1b[1mno groups\x1b[0m\n\nArguments"
    assert first_line(ValueError(text)) == "no groups"


def test_a_reason_does_not_depend_on_the_name_of_a_node():
    eager = "{{node a/b}} no NCHW [Op:Conv2D] name: "
    assert first_line(ValueError(eager)) == "no NCHW [Op:Conv2D]"
    traced = "Graph execution error:\n\nDetected at node a/b\nno NCHW\n\t [[{{node a/b}}]] [Op:f]"
    assert first_line(ValueError(traced)) == "no NCHW"
