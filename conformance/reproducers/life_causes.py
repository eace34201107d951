"""What the script of a fault in the life of a layer asserts: one way for each cause."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from conformance.checks.life import ON_PURPOSE, TYPED_STAGES, builtin_types, rounding
from conformance.checks.lived import given_source
from conformance.observing.life import pattern
from conformance.observing.observation import Raised
from conformance.reproducers.life_script import LifeScript
from conformance.variations import Stage

Way = Callable[[LifeScript, str, str], list[str]]


class Shows(NamedTuple):
    """A way, and the causes of `check` that it shows, as regular expressions."""

    way: Way
    check: str
    causes: tuple[str, ...]
    of_keras: bool

    def fits(self, check: str, cause: str) -> bool:
        """Whether it shows this cause."""
        return check == self.check and any(re.match(c, cause) for c in self.causes)


WAYS: list[Shows] = []


def _shows(check: str, *causes: str, of_keras: bool = False) -> Callable[[Way], Way]:
    """Enter a way for causes of a check.

    It gets the script, the cause and the message of the failure, and returns lines that fail as
    long as the layer is wrong in just that, or none. `of_keras` is for layers of Keras alone.
    """

    def entered(way: Way) -> Way:
        WAYS.append(Shows(way, check, causes, of_keras))
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
            lines = shows.way(script, cause, message)
            if not lines:
                return []
            lines = [*(_REFUSED_EARLY if script.may_refuse_early else ()), *lines]
            return [*script.head(lines), *lines]
    return []


_REFUSED_EARLY = [
    "try:",
    "    made()",
    "except Exception as error:",
    '    print(f"refused at once, which is as good: {error}")',
    "    raise SystemExit",
]


# Refusals --------------------------------------------------------------------------------------

_STAGES = sorted(Stage, key=len, reverse=True)  # "call after from_config" before "call"


def _stage_of(message: str) -> Stage | None:
    return next((stage for stage in _STAGES if message.startswith(f"{stage} ")), None)


def _read(script: LifeScript, stage: Stage) -> list[str]:
    """What is read of a layer that has passed `stage`."""
    if stage is Stage.LOSSES:
        numbers = "[float(loss) for loss in layer.losses]"
        again = "regularizer" in script.variation.argument
        return [numbers, *(["layer(x)", numbers] if again else [])]
    if stage is Stage.CONSTRAIN:
        each = 'getattr(w, "constraint", None)'
        made = 'w.constraint(pattern(w.shape, 1).astype("float32"))'
        return [f"[{made} for w in layer.weights if {each}]"]
    if stage in (Stage.FIRST_CALL, Stage.CALL):
        return [*_HAS_ARRAY, script.array("found")]
    return {
        Stage.CONFIG: ["described(config)"],
        Stage.REVIVE: ["described(revived.get_config())"],
        Stage.ASSIGN: ["layer.get_weights()"],
    }.get(stage, [])


_HAS_ARRAY = ['assert hasattr(found, "__array__"), f"it returns {type(found).__name__}"']


@_shows("refusals", r".*refuses .* that Keras accepts$")
def _refused(script: LifeScript, cause: str, message: str) -> list[str]:
    stage = _stage_of(message)
    if stage is None:
        return []
    *before, last = script.steps(stage)
    return [*before, f"{last}  # Keras accepts it", *_read(script, stage)]


@_shows("refusals", r".*accepts .* that Keras refuses$", r".*refuses .* with another type of error")
def _accepted(script: LifeScript, cause: str, message: str) -> list[str]:
    stage = _stage_of(message)
    wanted = script.wanted.get(stage) if stage else None
    if stage is None or not isinstance(wanted, Raised):
        return []
    *before, last = script.steps(stage)
    types = sorted(builtin_types(wanted) | ON_PURPOSE) if stage in TYPED_STAGES else []
    compared = [
        "    known = {t.__name__ for t in type(error).__mro__ if t.__module__ == 'builtins'}",
        '    known -= {"Exception", "BaseException", "object"}',
        f"    kinds = {{{', '.join(map(repr, types))}}}",
        '    assert not known or known & kinds, f"it raises {type(error).__name__}"',
    ]
    return [
        *before,
        "try:",
        *(f"    {line}" for line in (last, *_read(script, stage))),
        "except Exception as error:",
        *(compared if types else ['    print(f"refused: {error}")']),
        "else:",
        f'    raise AssertionError("it is accepted, and Keras raises {wanted.types[0]}")',
    ]


# What a layer shows and saves ------------------------------------------------------------------


def _is_plain(value: Any) -> bool:
    """Whether its text is its source."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    finite = not isinstance(value, float) or math.isfinite(value)
    return finite and (value is None or isinstance(value, bool | int | float | str))


def _equal(name: str, got: str, want: str, why: str = "not") -> list[str]:
    """Lines that compare what is called `name`."""
    return [
        f"name, got, want = {name!r}, plain({got}), plain({want})",
        f'assert got == want, f"{{name}} is {{got!r}}, {why} {{want!r}}"',
    ]


@_shows("attributes", "the attribute ")
def _attribute(script: LifeScript, cause: str, message: str) -> list[str]:
    name = message.partition(" should be ")[0]
    want = dict(script.wanted[Stage.CONSTRUCT]).get(name)
    if not _is_plain(want):
        return []
    return ["layer = made()", *_equal(name, f"layer.{name}", repr(want))]


def _key(cause: str) -> str:
    """The key of a configuration of which a cause speaks."""
    return cause.partition(" has no ")[2] or cause.partition(" has another ")[2]


def _same_value(name: str, config: str, want: str) -> list[str]:
    """Lines that compare a value of a configuration."""
    return [
        f"name, config, want = {name!r}, {config}, {want}",
        'assert name in config, f"it has no {name}"',
        'assert same_config(want, config[name]), f"{name} is {config[name]!r}, not {want!r}"',
    ]


@_shows("configuration", "get_config has ")
def _config(script: LifeScript, cause: str, message: str) -> list[str]:
    name, text = _key(cause), script.wanted.get(Stage.CONFIG)
    want = json.loads(text).get(name) if isinstance(text, str) else math.nan
    if not _is_plain(want):
        return []
    return ["layer = made()", *_same_value(name, "described(layer.get_config())", repr(want))]


@_shows("configuration", "from_config makes an object")
def _revived_type(script: LifeScript, cause: str, message: str) -> list[str]:
    return [
        *script.steps(Stage.REVIVE),
        'assert type(revived) is type(layer), f"it is a {type(revived).__name__}"',
    ]


@_shows("configuration", "from_config changes")
def _changed_config(script: LifeScript, cause: str, message: str) -> list[str]:
    return [
        "layer = made()",
        "config = layer.get_config()",
        "kept = described(config)",
        "type(layer).from_config(config)",
        'assert described(config) == kept, f"it is {config}, was {kept}"',
    ]


@_shows("configuration", r"from_config\(get_config\(\)\) has ")
def _revived_config(script: LifeScript, cause: str, message: str) -> list[str]:
    name = _key(cause)
    config, want = "described(revived.get_config())", f"described(layer.get_config())[{name!r}]"
    return [*script.steps(Stage.REVIVE), *_same_value(name, config, want)]


@_shows("configuration", "a layer made by from_config (raises|returns)")
def _revived_call(script: LifeScript, cause: str, message: str) -> list[str]:
    return [
        *script.steps(Stage.CALL),
        f"want = {script.array('found')}",
        "again = type(layer).from_config(layer.get_config())",
        f"again.build({script.trial.case.input_shape})",
        "again.set_weights(weights_of(layer))",
        f"got = {script.array('again(x)')}",
        *_ALIKE,
    ]


_ALIKE = [
    'assert got.shape == want.shape, f"shape {got.shape}, not {want.shape}"',
    'assert got.dtype == want.dtype, f"{got.dtype}, not {want.dtype}"',
    'assert np.array_equal(got, want), f"{(got != want).sum()} of {got.size} elements differ"',
]


@_shows("revived_attributes", "get_config cannot be written", of_keras=True)
def _json(script: LifeScript, cause: str, message: str) -> list[str]:
    return [*script.steps(Stage.CONFIG), "json.dumps(config)"]


@_shows("revived_attributes", "a layer made by from_config has another ", of_keras=True)
def _revived_attribute(script: LifeScript, cause: str, message: str) -> list[str]:
    name = message.partition(" is ")[0]
    got, want = (f"getattr({one}, {name!r}, None)" for one in ("revived", "layer"))
    return [*script.steps(Stage.REVIVE), *_equal(name, got, want, "was")]


# Weights ---------------------------------------------------------------------------------------


@_shows("weights_contract", "has other weights")
def _forms(script: LifeScript, cause: str, message: str) -> list[str]:
    forms = [f"{w.dtype.name} {w.shape}" for w in script.wanted[Stage.WEIGHTS][1]]
    return [
        *script.steps(Stage.WEIGHTS),
        'forms = [f"{w.dtype.name} {w.shape}" for w in held]',
        f'assert forms == {forms!r}, f"the weights are {{forms}}"',
    ]


@_shows("weights_contract", "has weights of other names")
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
        *script.steps(Stage.CALL),
        *_HAS_ARRAY,
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


@_shows("losses", "has another number of losses", "a loss has another value")
def _losses(script: LifeScript, cause: str, message: str) -> list[str]:
    before, after, *more = script.wanted[Stage.LOSSES]
    *to_call, called = script.steps(Stage.CALL)
    lines = [*to_call, *_compared_losses(script, before)]
    for want, call in zip((after, *more), (called, "layer(x)"), strict=False):
        lines += [call, *_compared_losses(script, want)]
    return lines


def _compared_losses(script: LifeScript, want: Sequence[float]) -> list[str]:
    room, wanted = rounding(script.trial), sorted(want)
    return [
        "got = sorted(float(loss) for loss in layer.losses)",
        f'assert len(got) == {len(wanted)}, f"losses are {{got}}"',
        f"assert all(abs(g - w) <= {room!r} * abs(w) for g, w in zip(got, {wanted!r})), got",
    ]


@_shows("constraints", "has another number of weights")
def _number_of_weights(script: LifeScript, cause: str, message: str) -> list[str]:
    number = len(script.wanted[Stage.CONSTRAIN])
    return [
        *script.steps(Stage.CALL),
        f'assert len(layer.weights) == {number}, f"it has {{len(layer.weights)}} weights"',
    ]


@_shows("constraints", "a weight has (no|a) constraint")
def _which_constraints(script: LifeScript, cause: str, message: str) -> list[str]:
    has = [value is not None for value in script.wanted[Stage.CONSTRAIN]]
    return [
        *script.steps(Stage.CALL),
        'has = [getattr(w, "constraint", None) is not None for w in layer.weights]',
        f'assert has == {has}, f"which weights have a constraint: {{has}}"',
    ]


@_shows("constraints", "a constraint gives other values")
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
    if not _is_plain(wanted):
        return []
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
    got, want = (f"{one}.{name}" for one in ("made()", script.spelled_plainly()))
    return _equal(name, got, want, "and if it is written plainly")


@_shows("spellings_agree", "returns ")
def _spelled_output(script: LifeScript, cause: str, message: str) -> list[str]:
    return [
        "results = []",
        f"for layer in ({script.spelled_plainly()}, made()):",
        "    layer.build(shape)",
        "    assign(layer)",
        f"    results.append({script.array('layer(x)')})",
        "want, got = results",
        *_ALIKE,
    ]


@_shows("modes_agree", ".*", of_keras=True)
def _mode(script: LifeScript, cause: str, message: str) -> list[str]:
    *to_call, _ = script.steps(Stage.CALL)
    return [
        *to_call,
        f"want = {script.array('layer(x)')}",
        *script.steps(Stage.CALL),
        f"got = {script.array('found')}",
        *_ALIKE,
    ]


# After a refusal -------------------------------------------------------------------------------


def _refusing(script: LifeScript) -> list[str]:
    """Lines that do what is refused; weights and their names before and after it. [] without."""
    stages = (Stage.BUILD, Stage.ASSIGN, Stage.THEN, Stage.CALL)
    raised = (s for s in stages if isinstance(script.wanted.get(s), Raised))
    only_then = script.variation.only_keras and script.variation.stage is Stage.THEN
    stage = Stage.THEN if only_then else next(raised, None)
    if stage is None:
        return []
    *before, last = script.steps(stage)
    # What was set, where the arrays that were given are used for something else by now.
    held = (
        "weights_of(layer)" if stage is Stage.THEN else "[np.array(w) for w in layer.get_weights()]"
    )
    return [
        *before,
        f"held = {held}",
        "names = [w.name for w in layer.weights]",
        "try:",
        f"    {last}",
        "except Exception as error:",
        '    print(f"refused: {error}")',
        "else:",
        "    raise SystemExit  # nothing is refused, which is as good here",
    ]


@_shows("failure_leaves_no_trace", ".*refused changes weights")
def _changed_weights(script: LifeScript, cause: str, message: str) -> list[str]:
    lines = _refusing(script)
    compared = [
        "same = list(map(np.array_equal, layer.get_weights(), held))",
        'assert all(same), f"which weights are as before: {same}"',
    ]
    return [*lines, *compared] if lines else []


@_shows("failure_leaves_no_trace", "has other weights than before")
def _left_weights(script: LifeScript, cause: str, message: str) -> list[str]:
    lines, again = _refusing(script), script.wanted.get(Stage.RETRY)
    if not lines or not isinstance(again, list):
        return []
    looked_at = script.wanted[Stage.WEIGHTS]
    were = [name for name, _ in looked_at[0][0]] if isinstance(looked_at, list) else None
    left = [*lines, "left = [w.name for w in layer.weights]"]
    if were == again[2]:
        return [*left, 'assert left == names, f"it has {left}, had {names}"']
    return [*left, f'assert len(left) == {len(again[2])}, f"the layer has {{left}}"']


@_shows("failure_leaves_no_trace", "cannot be used", "returns ")
def _used_again(script: LifeScript, cause: str, message: str) -> list[str]:
    lines, again = _refusing(script), script.wanted.get(Stage.RETRY)
    if not lines or script.variation.stage is Stage.CONSTRUCT:
        return []
    shape, trial = script.trial.case.input_shape, script.trial
    spares_calls = trial.info.costly_calls and trial.case.geometry.groups > 1
    lines += [
        'if not getattr(layer, "built", False):',
        f"    layer.build({shape})" if spares_calls else "    layer(x)",
        "layer.set_weights(weights_of(layer))",
        f"got = {script.array('layer(x)')}",
    ]
    if cause.startswith("cannot be used"):
        return lines
    want = again[0] if isinstance(again, list) else script.wanted[Stage.CALL]
    return [*lines, f"want = {script.literals.values(want)}", *_ALIKE]


# Layers of Keras -------------------------------------------------------------------------------


@_shows("stages_agree", "a call on a symbolic tensor tells another", of_keras=True)
def _told(script: LifeScript, cause: str, message: str) -> list[str]:
    return [
        *script.steps(Stage.SYMBOLIC),
        *script.steps(Stage.CALL),
        f"result = {script.array('found')}",
        "told, is_so = (symbolic.shape, symbolic.dtype), (result.shape, result.dtype.name)",
        'assert told == is_so, f"{told}, and the call {is_so}"',
    ]


@_shows("stages_agree", ".* refuses .* that .* accepts$", of_keras=True)
def _one_accepts(script: LifeScript, cause: str, message: str) -> list[str]:
    is_shape = script.variation.stage is Stage.BUILD
    lines = ["accepts = {}"]
    for stage in (Stage.SHAPE, Stage.BUILD) if is_shape else (Stage.SYMBOLIC, Stage.CALL):
        lines += [
            "try:",
            *(f"    {line}" for line in script.steps(stage)),
            f'    accepts["{stage}"] = True',
            "except Exception as error:",
            '    print(f"refused: {error}")',
            f'    accepts["{stage}"] = False',
        ]
    return [*lines, 'assert len({*accepts.values()}) == 1, f"which of them accepts it: {accepts}"']


@_shows("stages_agree", ".* refuses .* that was accepted$", of_keras=True)
def _accepted_before(script: LifeScript, cause: str, message: str) -> list[str]:
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
        '    print(f"refused at once, which is as good: {error}")',
        "    raise SystemExit",
        f"# It was accepted, so {stage} may not refuse it.",
        *(line for line in script.steps(stage) if line not in (*before, taken)),
        *_read(script, stage),
    ]


@_shows("refused_on_purpose", ".* refuses .* with an unrelated error", of_keras=True)
def _purpose(script: LifeScript, cause: str, message: str) -> list[str]:
    stage = _stage_of(message)
    if stage is None:
        return []
    return [
        "try:",
        *(f"    {line}" for line in (*script.steps(stage), *_read(script, stage))),
        f"except ({', '.join(sorted(ON_PURPOSE))}) as error:",
        '    print(f"refused on purpose: {error}")',
    ]


@_shows("documented_values", "accepts ", of_keras=True)
def _documented(script: LifeScript, cause: str, message: str) -> list[str]:
    said = f"it accepts {given_source(script.variation)}"
    return [
        "try:",
        "    layer = made()",
        "except Exception as error:",
        '    print(f"refused: {error}")',
        "else:",
        f"    raise AssertionError({said!r})",
    ]
