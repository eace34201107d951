"""The contract of the layer as a document: ``python -m conformance.contract`` writes the page.

Everything on the page comes from checks and variations, so that it cannot say what is not tried.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from conformance.checks import RULES
from conformance.variations import VARIATIONS, Stage

HEAD = """\
# The contract of the layer

What `keras.layers.Conv2D` does beside its numbers, rule by rule. The page is made from the checks
and the table of variations by `python -m conformance.contract`; do not edit it.

A layer that has `get_config` and `from_config` is asked for all of it, any other layer for shapes
and values only. Each case varies one thing on a small layer (`but.strides.zero` in its case
string), and follows the layer through its life: made, described, built, given weights, called. The
reference lives through the same, and real Keras judges the reference. Measured on Keras 3.15.1.
"""

# Keras' own machinery, `keras.src.testing.TestCase.run_layer_test` and its tests of layers.
OWN_RULES: tuple[tuple[str, str], ...] = (
    ("from_config(get_config()) gives the same config", "configuration"),
    ("the revived object has the same attributes", "configuration, `mode.revived` in modes_agree"),
    ("serialized as a Keras object, as JSON, and back", "`mode.serialized` in modes_agree"),
    ("supports_masking is False", "`mode.masked` in modes_agree"),
    ("built is True after build and after a call", "attributes, failure_leaves_no_trace"),
    ("numbers of trainable and non-trainable weights", "weights_contract"),
    ("a symbolic call gives the shape", "shapes_agree"),
    ("an eager call gives the shape", "output_shape"),
    ("number of losses, with regularizers and with LoRA", "losses"),
    ("one training step", "`mode.trained` and `mode.trained_through` in modes_agree"),
    ("mixed precision: the dtype of a call is that of compute_output_spec", "shapes_agree"),
    ("mixed precision: weights are float32", "weights_contract"),
    ("torch_params has every weight", "not checked: a matter of one backend"),
    (
        "six refusals of arguments, with their words",
        "refusals, for the type; words are not compared",
    ),
    ("a symbolic call with an empty output raises", "refusals (build)"),
    ("an eager call with an empty output raises", "refusals (call)"),
    ("LoRA: weights, dtypes, output unchanged", "weights_contract and varied_output"),
    ("LoRA: kernel + alpha / rank * a @ b", "varied_output"),
    ("LoRA: saved and loaded", "`mode.saved_lora` in modes_agree"),
    ("LoRA: paths of the variables", "weights_contract, for names"),
    ("values of six configurations", "exact_values and bounded_values, on thousands"),
    ("constraints sit on the variables", "constraints"),
    ("a positional argument that is no tensor raises", "refusals (input)"),
    (
        "built on the first call; state locked after build",
        "refusals (first call, `then.built_again`)",
    ),
    ("the activity penalty is divided by the batch size", "losses"),
    ("autocast of NumPy arrays", "varied_output (`input.float64`)"),
    ("stateless_call", "`mode.stateless` in modes_agree"),
    ("trainable: a bool in the constructor, and its setter", "refusals, weights_contract"),
    ("the dtype policy is serialized in the config", "configuration"),
    ("a layer can be pickled", "`mode.pickled` in modes_agree"),
    ("strides x padding x groups x dilation, symbolic shapes", "the plan, compute_output_shape"),
    ("Conv2D as the first layer of a model", "`mode.sequential` in modes_agree"),
)


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([HEAD, *_rules(), *_own_rules(), *_differences(), *_variations()])


def _rules() -> Iterator[str]:
    yield "## Rules\n"
    for check in RULES:
        yield f"### {check.name}\n"
        yield f"{check.text}\n"


def _own_rules() -> Iterator[str]:
    yield "## Keras' own rules\n"
    yield "What Keras' tests demand of every layer, and of Conv2D, and where it is checked here.\n"
    yield "| rule | checked by |\n| --- | --- |"
    yield from (f"| {rule} | {where} |" for rule, where in OWN_RULES)
    yield ""


def _differences() -> Iterator[str]:
    yield "## Where backends differ\n"
    yield "At these stages a refusal is not judged.\n"
    yield "| variation | stages | why |\n| --- | --- | --- |"
    for row in VARIATIONS.values():
        if row.differs:
            yield f"| `{row.name}` | {', '.join(row.differs)} | {row.why} |"
    yield ""


def _variations() -> Iterator[str]:
    yield "## Variations\n"
    yield f"{len(VARIATIONS)} rows; `build`, `input`, `set_weights`, `then` are stages of a life.\n"
    yield "| varied | values |\n| --- | --- |"
    for argument in dict.fromkeys(row.argument for row in VARIATIONS.values()):
        rows = [row for row in VARIATIONS.values() if row.argument == argument]
        shown = [_cell(row.value() if row.stage is Stage.MODE else row.source) for row in rows]
        yield f"| `{argument}` | {', '.join(shown)} |"


def _cell(source: str) -> str:
    return f"`{source}`".replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page() + "\n")
