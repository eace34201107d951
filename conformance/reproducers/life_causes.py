"""What the reproducer of a fault in the life of a layer asserts: one way for each cause."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from conformance.checks.life import ON_PURPOSE, TYPED_STAGES, builtin_types, rounding
from conformance.checks.lived import given_source
from conformance.observing.life import pattern
from conformance.observing.observation import NOT_MADE, Raised
from conformance.reproducers.life_script import LifeScript
from conformance.variations import Stage

Way = Callable[[LifeScript, str, str], list[str]]


class Shows(NamedTuple):
    """A way, and the causes that it shows: those of `check` that begin so."""

    way: Way
    check: str
    causes: tuple[str, ...]
    of_keras: bool

    def fits(self, check: str, cause: str) -> bool:
        """Whether it shows this cause."""
        return check == self.check and cause.startswith(self.causes)


WAYS: list[Shows] = []


def _shows(check: str, *causes: str, of_keras: bool = False) -> Callable[[Way], Way]:
    """Enter a way for the causes of a check that begin so.

    It gets the script, the cause and the message of the failure, and returns lines that fail as
    long as the layer is wrong in just that, or none. `of_keras` is for layers of Keras alone.
    """

    def entered(way: Way) -> Way:
        WAYS.append(Shows(way, check, causes or ("",), of_keras))
        return way

    return entered


def lines_of(script: LifeScript, check: str, cause: str, message: str) -> list[str]:
    """The lines of a reproducer, which end in an assertion.

    Empty where the suite has to replay the case, since nothing here shows that cause.
    """
    if not script.can_be_written:
        return []
    for shows in WAYS:
        if shows.fits(check, cause) and (script.has_keras or not shows.of_keras):
            found = shows.way(script, cause, message)
            return [*script.given(found), *found] if found else []
    return []


# Refusals --------------------------------------------------------------------------------------

_STAGES = sorted(Stage, key=len, reverse=True)  # "call after from_config" before "call"


def _stage_of(message: str) -> Stage | None:
    return next((stage for stage in _STAGES if message.startswith(f"{stage} ")), None)


@_shows("refusals")
def _refusal(script: LifeScript, cause: str, message: str) -> list[str]:
    stage = _stage_of(message)
    if stage is None:
        return []
    *before, last = script.steps(stage)
    read = _READ.get(stage, ())
    wanted = script.wanted[stage]
    if not isinstance(wanted, Raised):
        answer = "found" if stage in (Stage.FIRST_CALL, Stage.CALL) else ""
        return [*before, f"{last}  # Keras accepts it", *read, *_is_array(script, answer)]
    types = builtin_types(wanted) | ON_PURPOSE if stage in TYPED_STAGES else set()
    kinds = f"({', '.join(sorted(types))},)" if types else "Exception"
    return [
        *before,
        "try:",
        *(f"    {line}" for line in (last, *read)),
        "except Exception as error:",
        f'    assert isinstance(error, {kinds}), f"it raises {{type(error).__name__}}"',
        "else:",
        f'    raise AssertionError("it is accepted, and Keras raises {wanted.types[0]}")',
    ]


# What is read after a stage was passed.
_READ = {
    Stage.REVIVE: ("revived.get_config()",),
    Stage.ASSIGN: ("layer.get_weights()",),
    Stage.LOSSES: ("[float(loss) for loss in layer.losses]",),
    Stage.CONSTRAIN: ("[w.constraint(w) for w in layer.weights if w.constraint]",),
}


def _is_array(script: LifeScript, name: str) -> list[str]:
    if not name:
        return []
    return [
        f'assert hasattr({name}, "__array__"), f"it returns {{type({name}).__name__}}"',
        script.array(name),
    ]


# What a layer shows and saves ------------------------------------------------------------------


@_shows("attributes", "the attribute ")
def _attribute(script: LifeScript, cause: str, message: str) -> list[str]:
    name = message.partition(" should be ")[0]
    want = dict(script.wanted[Stage.CONSTRUCT]).get(name)
    if not _is_plain(want):
        return []
    return [
        "layer = made()",
        f"got = layer.{name}",
        "got = list(got) if isinstance(got, tuple) else got",
        f'assert got == {want!r}, f"{name} is {{got!r}}, not {_quoted(want)}"',
    ]


def _is_plain(value: Any) -> bool:
    """Whether its text is its source."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    finite = not isinstance(value, float) or math.isfinite(value)
    return finite and (value is None or isinstance(value, bool | int | float | str))


def _quoted(value: Any) -> str:
    """A value for the inside of an f-string in double quotes."""
    text = repr(value).replace("\\", "\\\\").replace('"', "'")
    return text.replace("{", "{{").replace("}", "}}")


_IN_JSON = [
    "def in_json(config):",
    '    """A configuration as it is saved; of objects only what they are called."""',
    "    text = json.dumps(config, default=described)",
    "    return json.loads(text)",
    "",
    "",
    "def described(value):",
    "    if isinstance(value, np.integer):",
    "        return int(value)",
    "    if isinstance(value, np.generic):",
    "        return repr(value)",
    "    return f\"<{getattr(value, '__name__', type(value).__name__)}>\"",
    "",
    "",
    "def same(one, other):",
    '    """Equal, where modules and registered names of objects do not count."""',
    '    if not isinstance(one, dict) or "class_name" not in one:',
    "        return one == other",
    "    if isinstance(other, str):  # by name",
    '        return other in (one["class_name"], (one.get("config") or {}).get("name"))',
    "    if not isinstance(other, dict):",
    "        return False",
    '    return all(one.get(key) == other.get(key) for key in ("class_name", "config"))',
    "",
    "",
]


@_shows("configuration", "get_config has ")
def _config(script: LifeScript, cause: str, message: str) -> list[str]:
    name, text = cause.rpartition(" ")[2], script.wanted.get(Stage.CONFIG)
    if not isinstance(text, str):
        return []
    return [
        "import json",
        *_SPACED,
        *_IN_JSON,
        "layer = made()",
        "config = in_json(layer.get_config())",
        f'assert {name!r} in config, "get_config has no {name}"',
        f"got, want = config[{name!r}], {json.loads(text)[name]!r}",
        f'assert same(want, got), f"{name} is {{got!r}}, not {{want!r}}"',
    ]


_SPACED = ("", "")


@_shows("configuration", "from_config makes an object")
def _revived_type(script: LifeScript, cause: str, message: str) -> list[str]:
    return [
        *script.steps(Stage.REVIVE),
        'assert type(revived) is type(layer), f"it is a {type(revived).__name__}"',
    ]


@_shows("configuration", "from_config changes")
def _changed_config(script: LifeScript, cause: str, message: str) -> list[str]:
    return [
        *script.steps(Stage.CONFIG),
        "kept = str(config)",
        "type(layer).from_config(config)",
        'assert str(config) == kept, f"it is {config}, was {kept}"',
    ]


@_shows("configuration", "from_config(get_config()) has ")
def _revived_config(script: LifeScript, cause: str, message: str) -> list[str]:
    name = cause.rpartition(" ")[2]
    return [
        "import json",
        *_SPACED,
        *_IN_JSON,
        *script.steps(Stage.REVIVE),
        f"want = in_json(layer.get_config())[{name!r}]",
        "config = in_json(revived.get_config())",
        f'assert {name!r} in config, "it has no {name}"',
        f"got = config[{name!r}]",
        f'assert same(want, got), f"{name} is {{got!r}}, was {{want!r}}"',
    ]


@_shows("configuration", "a layer made by from_config raises", "a layer made by from_config return")
def _revived_call(script: LifeScript, cause: str, message: str) -> list[str]:
    revived = "made_again = type(layer).from_config(layer.get_config())"
    return ["layer = made()", revived, *_compared(script, "layer, made_again")]


def _compared(script: LifeScript, layers: str, given: str = "x") -> list[str]:
    """Two layers with the same weights return the same."""
    return [
        "results = []",
        f"for layer in ({layers}):",
        f"    layer.build({script.trial.case.input_shape})",
        "    layer.set_weights(weights)",
        f"    results.append({script.array(f'layer({given})')})",
        *_alike("results[1]", "results[0]"),
    ]


def _alike(got: str, want: str) -> list[str]:
    return [
        f"got, want = {got}, {want}",
        'assert got.shape == want.shape, f"shape {got.shape}, not {want.shape}"',
        'assert got.dtype == want.dtype, f"{got.dtype}, not {want.dtype}"',
        'assert np.array_equal(got, want), f"{(got != want).sum()} of {got.size} elements differ"',
    ]


@_shows("revived_attributes", "get_config cannot be written", of_keras=True)
def _json(script: LifeScript, cause: str, message: str) -> list[str]:
    return ["import json", "", *script.steps(Stage.CONFIG), "json.dumps(config)"]


@_shows("revived_attributes", "a layer made by from_config has another ", of_keras=True)
def _revived_attribute(script: LifeScript, cause: str, message: str) -> list[str]:
    name = message.partition(" is ")[0]
    return [
        *script.steps(Stage.REVIVE),
        f"got, want = revived.{name}, layer.{name}",
        f'assert got == want, f"{name} is {{got!r}}, was {{want!r}}"',
    ]


# Weights ---------------------------------------------------------------------------------------


@_shows("weights_contract", "has other weights")
def _forms(script: LifeScript, cause: str, message: str) -> list[str]:
    forms = [f"{w.dtype.name} {w.shape}" for w in script.wanted[Stage.WEIGHTS][1]]
    return [
        *script.steps(Stage.WEIGHTS),
        'forms = [f"{w.dtype.name} {w.shape}" for w in held]',
        f'assert forms == {forms!r}, f"the weights are {{forms}}"',
    ]


@_shows("weights_contract", "names or trainable")
def _flags(script: LifeScript, cause: str, message: str) -> list[str]:
    is_later = message.startswith(f"after {Stage.THEN} ")
    wanted = script.wanted[Stage.THEN] if is_later else script.wanted[Stage.WEIGHTS][0]
    return [
        *script.steps(Stage.THEN if is_later else Stage.BUILD),
        "each = [[str(w.name), bool(w.trainable)] for w in layer.weights]",
        f'assert each == {wanted[0]!r}, f"the weights are {{each}}"',
        "numbers = [len(layer.trainable_weights), len(layer.non_trainable_weights)]",
        f'assert numbers == {wanted[1]!r}, f"{{numbers}} are trainable and not"',
    ]


@_shows("weights_contract", "a weight does not begin")
def _first_values(script: LifeScript, cause: str, message: str) -> list[str]:
    lines = script.steps(Stage.WEIGHTS)
    for number in script.trial.decided_weights:
        want = script.literals.values(script.wanted[Stage.WEIGHTS][1][number])
        lines += [
            f"want = {want}",
            f'assert np.array_equal(held[{number}], want), "weight {number} begins with others"',
        ]
    return lines


@_shows("weights_contract", "first values are equal")
def _twins(script: LifeScript, cause: str, message: str) -> list[str]:
    return [
        "held = []",
        "for layer in (made(), made()):",
        "    layer.build(shape)",
        "    held.append([np.array(w) for w in layer.get_weights()])",
        "equal = [bool((a == b).all()) for a, b in zip(*held)]",
        f'assert equal == {script.wanted[Stage.WEIGHTS][2]!r}, f"equal in two layers: {{equal}}"',
    ]


@_shows("weights_contract", "get_weights does not return")
def _kept(script: LifeScript, cause: str, message: str) -> list[str]:
    wanted = ", ".join(map(script.literals.values, script.wanted[Stage.ASSIGN]))
    return [
        *script.steps(Stage.ASSIGN),
        f"wanted = [{wanted}]",
        "same = list(map(np.array_equal, layer.get_weights(), wanted))",
        'assert all(same), f"which weights are as they were set: {same}"',
    ]


# Calls -----------------------------------------------------------------------------------------


@_shows("varied_output", "returns ")
def _output(script: LifeScript, cause: str, message: str) -> list[str]:
    want = script.wanted[Stage.CALL]
    lines = [
        *script.used(),
        *_is_array(script, "found")[:1],
        f"result = {script.array('found')}",
        f'assert result.shape == {want.shape}, f"shape {{result.shape}}"',
        f'assert result.dtype.name == "{want.dtype.name}", result.dtype',
    ]
    if script.trial.is_exact_life:
        lines += [
            f"want = {script.literals.values(want)}",
            "wrong = int((result != want).sum())",
            'assert not wrong, f"{wrong} of {want.size} elements are wrong"',
        ]
    return lines


@_shows("varied_output", "a first call ")
def _first_call(script: LifeScript, cause: str, message: str) -> list[str]:
    sizes, dtype = script.wanted[Stage.FIRST_CALL]
    return [
        *script.steps(Stage.FIRST_CALL),
        f"result = {script.array('found')}",
        f'assert list(result.shape) == {sizes!r}, f"shape {{result.shape}}"',
        f'assert result.dtype.name == "{dtype}", result.dtype',
    ]


@_shows("losses")
def _losses(script: LifeScript, cause: str, message: str) -> list[str]:
    before, after, *more = script.wanted[Stage.LOSSES]
    room = rounding(script.trial)
    to_call = script.steps(Stage.CALL)
    lines = [*to_call[:-1], *_compared_losses(before, room), to_call[-1]]
    lines += _compared_losses(after, room)
    for want in more:
        lines += ["layer(x)", *_compared_losses(want, room)]
    return lines


def _compared_losses(want: Sequence[float], room: float) -> list[str]:
    return [
        "got = sorted(float(loss) for loss in layer.losses)",
        f'assert len(got) == {len(want)}, f"losses are {{got}}"',
        f"assert all(abs(g - w) <= {room!r} * abs(w) for g, w in zip(got, {sorted(want)!r})), got",
    ]


@_shows("constraints", "has another number")
def _number_of_weights(script: LifeScript, cause: str, message: str) -> list[str]:
    number = len(script.wanted[Stage.CONSTRAIN])
    return [
        *script.steps(Stage.CALL),
        f'assert len(layer.weights) == {number}, f"it has {{len(layer.weights)}} weights"',
    ]


@_shows("constraints", "a weight has ")
def _which_constraints(script: LifeScript, cause: str, message: str) -> list[str]:
    has = [value is not None for value in script.wanted[Stage.CONSTRAIN]]
    return [
        *script.steps(Stage.CALL),
        'has = [getattr(w, "constraint", None) is not None for w in layer.weights]',
        f'assert has == {has}, f"which weights have a constraint: {{has}}"',
    ]


@_shows("constraints", "a constraint gives")
def _constrained(script: LifeScript, cause: str, message: str) -> list[str]:
    lines, room = script.steps(Stage.CALL), rounding(script.trial)
    for number, want in enumerate(script.wanted[Stage.CONSTRAIN]):
        if want is not None:
            shape = script.wanted[Stage.WEIGHTS][1][number].shape
            given = script.literals.values(pattern(shape, 1).astype(np.float32))
            result = script.array(f"layer.weights[{number}].constraint({given})")
            lines += [
                f"got = {result}",
                f"want = {script.literals.values(np.asarray(want))}",
                f"close = np.abs(got - want) <= {room!r} * (1 + np.abs(want))",
                f'assert close.all(), f"the constraint of weight {number} gives {{got}}"',
            ]
    return lines


# Stage against stage ---------------------------------------------------------------------------


@_shows("shapes_agree", "compute_output_shape is wrong")
def _said_shape(script: LifeScript, cause: str, message: str) -> list[str]:
    wanted = script.wanted[Stage.SHAPE]
    return [*script.steps(Stage.SHAPE), f'assert said == {wanted!r}, f"it is {{said}}"']


@_shows("shapes_agree", "a call returns another shape")
def _called_shape(script: LifeScript, cause: str, message: str) -> list[str]:
    return [
        *script.steps(Stage.SHAPE),
        *script.steps(Stage.CALL),
        f"result = {script.array('found')}",
        'assert list(result.shape) == said, f"{result.shape}, not {said}"',
    ]


@_shows("shapes_agree", "a call on a symbolic tensor raises", of_keras=True)
def _symbolic(script: LifeScript, cause: str, message: str) -> list[str]:
    return script.steps(Stage.SYMBOLIC)


@_shows("shapes_agree", "a call on a symbolic tensor gives another shape", of_keras=True)
def _symbolic_shape(script: LifeScript, cause: str, message: str) -> list[str]:
    return [
        *script.steps(Stage.SHAPE),
        *script.steps(Stage.SYMBOLIC),
        "want = (None, *said[1:])",
        'assert symbolic.shape == want, f"{symbolic.shape}, not {want}"',
    ]


@_shows("shapes_agree", "a call on a symbolic tensor gives another dtype", of_keras=True)
def _symbolic_dtype(script: LifeScript, cause: str, message: str) -> list[str]:
    return [
        *script.steps(Stage.SYMBOLIC),
        *script.steps(Stage.CALL),
        f"result = {script.array('found')}",
        'assert symbolic.dtype == result.dtype.name, f"{symbolic.dtype}, not {result.dtype}"',
    ]


@_shows("spellings_agree", "the attribute ")
def _spelled_attribute(script: LifeScript, cause: str, message: str) -> list[str]:
    name = message.partition(" is ")[0]
    return [
        f"got, want = made().{name}, {script.made(script.variation.spells)}.{name}",
        "got, want = (list(v) if isinstance(v, tuple) else v for v in (got, want))",
        f'assert got == want, f"{name} is {{got!r}}, and {{want!r}} if written plainly"',
    ]


@_shows("spellings_agree", "returns ")
def _spelled_output(script: LifeScript, cause: str, message: str) -> list[str]:
    return _compared(script, f"{script.made(script.variation.spells)}, made()")


@_shows("modes_agree", of_keras=True)
def _mode(script: LifeScript, cause: str, message: str) -> list[str]:
    plain = ["layer = made()", "layer.build(shape)", "layer.set_weights(weights)"]
    return [
        *plain,
        f"plainly = {script.array('layer(x)')}",
        *script.steps(Stage.CALL),
        *_alike(script.array("found"), "plainly"),
    ]


# After a refusal -------------------------------------------------------------------------------


@_shows("failure_leaves_no_trace")
def _trace(script: LifeScript, cause: str, message: str) -> list[str]:
    stages = [s for s in (Stage.BUILD, Stage.ASSIGN, Stage.THEN, Stage.CALL) if s in script.wanted]
    raised = (s for s in stages if isinstance(script.wanted[s], Raised))
    only_then = script.variation.only_keras and script.variation.stage is Stage.THEN
    stage = Stage.THEN if only_then else next(raised, None)
    if stage is None:
        return []
    *before, last = script.steps(stage)
    lines = [
        *before,
        "held = [np.array(w) for w in layer.get_weights()]",
        'names = [w.name for w in getattr(layer, "weights", ())]',
        "try:",
        f"    {last}",
        "except Exception as error:",
        '    print(f"refused: {error}")',
        "else:",
        f"    {_ENDS}",
        'left = [w.name for w in getattr(layer, "weights", ())]',
    ]
    if "refused changes weights" in cause:
        return [
            *lines,
            "same = list(map(np.array_equal, layer.get_weights(), held))",
            'assert all(same), f"which weights are as before: {same}"',
        ]
    if cause.startswith("has other weights"):
        again = script.wanted[Stage.RETRY]
        if not isinstance(again, list):
            return []
        before_names = script.wanted[Stage.WEIGHTS]
        stay = before_names is not NOT_MADE and [n for n, _ in before_names[0][0]] == again[2]
        if stay:
            return [*lines, 'assert left == names, f"it has {left}, had {names}"']
        return [*lines, f'assert len(left) == {len(again[2])}, f"the layer has {{left}}"']
    if script.variation.stage is Stage.CONSTRUCT:
        return []
    lines += [
        'if not getattr(layer, "built", False):',
        "    layer(x)",
        "layer.set_weights(weights)",
        f"result = {script.array('layer(x)')}",
    ]
    if cause.startswith("cannot be used"):
        return lines
    again = script.wanted[Stage.RETRY]
    want = again[0] if isinstance(again, list) else script.wanted[Stage.CALL]
    return [*lines, *_alike("result", script.literals.values(want))]


_ENDS = "raise SystemExit  # nothing is refused, which is as good"


# Layers of Keras -------------------------------------------------------------------------------


@_shows("stages_agree", of_keras=True)
def _agreement(script: LifeScript, cause: str, message: str) -> list[str]:
    if cause.startswith("a call on a symbolic tensor tells"):
        return [
            *script.steps(Stage.SYMBOLIC),
            *script.steps(Stage.CALL),
            f"result = {script.array('found')}",
            "told, is_so = (symbolic.shape, symbolic.dtype), (result.shape, result.dtype.name)",
            'assert told == is_so, f"{told}, and the call {is_so}"',
        ]
    if message.startswith("of "):
        is_shape = script.variation.stage is Stage.BUILD
        stages = (Stage.SHAPE, Stage.BUILD) if is_shape else (Stage.SYMBOLIC, Stage.CALL)
        return [
            "accepts = {}",
            *(line for stage in stages for line in _accepted(script, stage)),
            'assert len({*accepts.values()}) == 1, f"which of them accepts it: {accepts}"',
        ]
    stage = _stage_of(message)
    if stage is None:
        return []
    start = Stage.THEN if script.variation.stage is Stage.THEN else Stage.CONSTRUCT
    *before, taken = script.steps(start)
    return [
        *before,
        "try:",
        f"    {taken}",
        "except Exception as error:",
        '    print(f"refused: {error}")',
        "    raise SystemExit  # at once, which is as good",
        f"# It was accepted, so {stage} may not refuse it.",
        *(line for line in script.steps(stage) if line not in (*before, taken)),
        *_READ.get(stage, ()),
    ]


def _accepted(script: LifeScript, stage: Stage) -> list[str]:
    """Lines that note whether a layer passes `stage`."""
    return [
        "try:",
        *(f"    {line}" for line in script.steps(stage)),
        f'    accepts["{stage}"] = True',
        "except Exception as error:",
        '    print(f"refused: {error}")',
        f'    accepts["{stage}"] = False',
    ]


@_shows("refused_on_purpose", of_keras=True)
def _purpose(script: LifeScript, cause: str, message: str) -> list[str]:
    stage = _stage_of(message)
    if stage is None:
        return []
    return [
        "try:",
        *(f"    {line}" for line in (*script.steps(stage), *_READ.get(stage, ()))),
        f"except ({', '.join(sorted(ON_PURPOSE))}) as error:",
        '    print(f"refused on purpose: {error}")',
    ]


@_shows("documented_values", of_keras=True)
def _documented(script: LifeScript, cause: str, message: str) -> list[str]:
    return [
        "try:",
        "    layer = made()",
        "except Exception as error:",
        '    print(f"refused: {error}")',
        "else:",
        f'    raise AssertionError("it accepts {_quoted_source(script)}")',
    ]


def _quoted_source(script: LifeScript) -> str:
    return given_source(script.variation).replace("\\", "\\\\").replace('"', "'")
