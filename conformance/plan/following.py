"""Sequences like a known one: a case after calls that differ from it as the known ones do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.case import Case, CaseError
from conformance.differing import differing, parts, with_parts
from conformance.plan.rows import Example
from conformance.plan.shrinking import FIELDS, number_of, plain, with_numbers

_SMALL = {"batch": 1, "output_h": 5, "output_w": 5, "kernel_h": 2, "kernel_w": 2}


def following(known: Example, case: Case) -> list[Example]:
    """`case` after calls that differ from it in what those of `known` differ in from its last.

    The calls are plain ones, or else lives like that of a layer that is asked for. Where what is
    varied on it is one of the differences, numbers are changed by one and by two, because one of
    them may equal the varied value. There may be no such calls.
    """
    *before, last = known
    bases = (replace(case, but=None), case) if case.asks == "life" else (replace(case, but=None),)
    steps = (1, 2) if (case.but or "").partition(".")[0] in differing(known) else (1,)
    found = (
        (*(_shifted(one, last, base, step) for one in before), case)
        for base in bases
        for step in steps
    )
    return [one for one in dict.fromkeys(found) if _is_like(one, known)]


def _is_like(example: Example, known: Example) -> bool:
    """Whether its calls can be written, and differ as those of `known` do."""
    if example[-1] in example[:-1] or differing(example) != differing(known):
        return False
    try:
        return all(Case.parse(str(one)) for one in example)
    except CaseError:
        return False


def plainer(known: Example) -> list[Example]:
    """Sequences like `known` on small cases, the plainest first; none for the life of a layer."""
    last = known[-1]
    if last.asks != "values":
        return []
    found = [
        one for small in (plain(_small(last)), _small(last)) for one in following(known, small)
    ]
    return [one for one in dict.fromkeys(found) if one != known]


def nearer(known: Example) -> list[Example]:
    """The last of `known` after a call that differs from it in one part, of those that differ."""
    if len(known) != 2 or len(differing(known)) < 2:
        return []
    (first, last), names = known, sorted(differing(known))
    own, other = parts(last), parts(first)
    found = [
        (_valid(last, {name: other[name]}), last) for name in names if own[name] != other[name]
    ]
    return [one for one in dict.fromkeys(found) if one[0] != last]


def _shifted(one: Case, last: Case, base: Case, step: int) -> Case:
    """A case that differs from `base` as `one` does from `last`; numbers differ by `step`."""
    there, here, own = parts(one), parts(last), parts(base)
    changes = {
        name: _beyond(own[name], there[name], here[name], step) for name in differing((one, last))
    }
    if "seed" in changes:
        changes["seed"] = base.seed + 1
        if last.weights is None:  # they come with the seed
            changes["weights"] = None
    return _valid(base, changes)


def _beyond(own: Any, there: Any, here: Any, step: int) -> Any:
    """What differs from `own` as `there` does from `here`; numbers by little, so that all fits."""
    if isinstance(own, tuple):
        return tuple(
            value if other == this else _beyond(value, other, this, step)
            for value, other, this in zip(own, there, here, strict=True)
        )
    if isinstance(own, int) and isinstance(there, int) and not isinstance(own, bool):
        return own + step if there > here or own <= step else own - step
    return there if there != own else here


def _valid(case: Case, changes: dict[str, object]) -> Case:
    """`case` with `changes`; where the kernel would not fit, its input is as large as need be."""
    changed = with_parts(case, changes)
    try:
        changed.geometry  # noqa: B018 - computed for its refusals
    except ValueError:
        kept = {name: v for name, v in changes.items() if name not in _OF_NUMBERS}
        numbers = {name: number_of(case, name) for name in FIELDS}
        for name, value in changes.items():
            numbers |= _numbers_of(name, value)
        return with_numbers(with_parts(case, kept), numbers)
    return changed


_STEMS = {"kernel_size": "kernel", "strides": "strides", "dilation_rate": "dilation"}
_OF_NUMBERS = (*_STEMS, "groups", "batch", "height", "width", "channels", "filters")


def _numbers_of(name: str, value: object) -> dict[str, int]:
    if name in _STEMS and isinstance(value, tuple):
        return {f"{_STEMS[name]}_{axis}": n for axis, n in zip("hw", value, strict=True)}
    return {name: value} if name in ("groups", "batch") and isinstance(value, int) else {}


def _small(case: Case) -> Case:
    """A small case like `case`: its kernel of two rows and columns where it has as many."""
    numbers = {name: min(number_of(case, name), _SMALL.get(name, 1)) for name in FIELDS}
    numbers |= {"output_h": _SMALL["output_h"], "output_w": _SMALL["output_w"]}
    return with_numbers(case, numbers)
