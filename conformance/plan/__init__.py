"""What is tried: popular layers and rows of a covering design, ladders, then free draws.

The seed and who is asked alone decide. Parts one to three are chosen by a random generator keyed by
seed, part and number; free draws come from Hypothesis. The number of workers plays no part.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count, islice, zip_longest

from conformance.errors import UsageError
from conformance.plan import free, rungs
from conformance.plan.asking import (
    Asked,
    adapt,
    fewer,
    identity,
    refuse_unclaimed,
    refused,
    takes_long,
)
from conformance.plan.design import Designed, rows_for
from conformance.plan.popular import POPULAR
from conformance.plan.profiles import PROFILES
from conformance.plan.rows import SIBLINGS, Example, configurations, example
from conformance.plan.shards import WHOLE, Shard
from conformance.plan.shrinking import SHRINK_ATTEMPTS, smallest
from conformance.plan.sparing import sparing_rows
from conformance.plan.varied import varied_cases

VERSION = 9  # of the plan: the same version and seed give the same cases
PARTS = ("popular", "rows", "ladders", "free")
VARIATIONS = "variations"  # of a layer, between the parts
CORPUS = "corpus"  # what has failed before; tried before the plan
VARIED_AT_ONCE = 4  # between two examples
SIBLING_EVERY = 5  # rows
QUICK = 160  # configurations within which all pairs are met: they leave so much room for siblings
TRIES = 20  # to make an example that is not a copy
FREE_AT_ONCE = 50  # configurations of a batch of free draws, so that it can be left out
_TOPS, _ALL_TOPS = rungs.tops()


@dataclass(frozen=True, slots=True)
class Planned:
    """An example with its place in the plan.

    Attributes:
        part: one of `PARTS`, or `VARIATIONS`.
        at: number of its first configuration, 1 for the first of the campaign; 0 for a variation.
        example: the cases, as they are asked.
        number: tells it from the other examples of its part; where it has configurations, `at`.
    """

    part: str
    at: int
    example: Example
    number: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "number", self.number or self.at)

    def configurations(self) -> list[tuple[int, Example]]:
        """(number, cases) of each configuration."""
        return list(enumerate(configurations(self.example), start=self.at))


@dataclass(frozen=True, slots=True)
class Undrawn:
    """A batch of free draws, to be drawn by whom it is run: drawing costs more than counting.

    Attributes:
        seed, asked: as for `plan`.
        number: of the batch.
        at, end: its first and its last configuration.
    """

    seed: int
    asked: Asked
    number: int
    at: int
    end: int

    def drawn(self) -> Iterator[Planned]:
        """Its examples, without copies of rows."""
        at, seen = self.at, _designs(self.seed, self.asked)
        for one in free.batch(self.seed, self.number, self.asked.claims):
            found = _as_asked(one, self.asked)
            if identity(found[0], self.asked) in seen:
                continue
            planned = _within(self.end, "free", at, found)
            if planned is None:
                return
            yield planned
            at += len(planned.configurations())


def plan(
    seed: int,
    asked: Asked = Asked(),  # noqa: B008 - frozen
    *,
    limit: int | None = None,
    profile: str = "night",
    shard: Shard = WHOLE,
    known: Callable[[range], bool] = lambda at: False,
) -> Iterator[Planned]:
    """Examples in order, until `limit` configurations are reached or the profile ends.

    ``quick`` ends when all popular layers and pairs are met, ``default`` before the free draws,
    ``night`` never. Equal seeds and equal `asked` give equal examples. Variations of a layer come
    between them, each once, and are no configurations. A `shard` has every so many of the
    examples, and of the batches of free draws. Batches whose numbers are `known` are left out.
    """
    for step in outline(seed, asked, limit=limit, profile=profile, shard=shard, known=known):
        if isinstance(step, Planned):
            yield step
        else:
            yield from step.drawn()


def outline(
    seed: int,
    asked: Asked = Asked(),  # noqa: B008 - frozen
    *,
    limit: int | None = None,
    profile: str = "night",
    shard: Shard = WHOLE,
    known: Callable[[range], bool] = lambda at: False,
) -> Iterator[Planned | Undrawn]:
    """The same as `plan`, with free draws left to be drawn."""
    cases = enumerate(varied_cases(seed, asked), start=1)
    varied = shard.of(Planned(VARIATIONS, 0, (case,), number) for number, case in cases)
    for step in _numbered(seed, asked, limit, profile, shard, known):
        yield step
        yield from islice(varied, VARIED_AT_ONCE)
    yield from varied


def _numbered(
    seed: int,
    asked: Asked,
    limit: int | None,
    profile: str,
    shard: Shard,
    known: Callable[[range], bool],
) -> Iterator[Planned | Undrawn]:
    if profile not in PROFILES:
        raise UsageError(f"profile {profile!r}: allowed are {', '.join(PROFILES)}")
    at = 1
    for number, (part, found) in enumerate(_designed(seed, asked, profile, _Memory())):
        planned = _within(limit, part, at, found)
        if planned is None:
            return
        if shard.has(number):
            yield planned
        at += len(configurations(found))
    for number in count() if profile == "night" else ():
        batch = range(at, at + FREE_AT_ONCE)
        if limit is not None and batch.start > limit:
            return
        if shard.has(number) and not known(batch):
            end = batch.stop - 1 if limit is None else min(limit, batch.stop - 1)
            yield Undrawn(seed, asked, number, batch.start, end)
        at = batch.stop


@lru_cache(maxsize=4)
def _designs(seed: int, asked: Asked) -> frozenset[tuple[object, ...]]:
    """Identities of all that comes before the free draws."""
    memory = _Memory()
    for _ in _designed(seed, asked, "night", memory):
        pass
    return frozenset(memory.seen)


def _within(limit: int | None, part: str, at: int, found: Example) -> Planned | None:
    """An example with what it has up to the configuration `limit`; None where that is nothing."""
    parts = configurations(found)
    if limit is not None:
        parts = parts[: max(limit + 1 - at, 0)]
    return Planned(part, at, tuple(case for one in parts for case in one)) if parts else None


def given(examples: Iterable[Example], asked: Asked) -> Iterator[Planned]:
    """Examples that somebody gave, as they are asked."""
    at = 1
    for found in examples:
        cases = tuple(case for one in configurations(found) for case in adapt(one, asked))
        yield Planned("given", at, cases)
        at += len(configurations(cases))


def _designed(
    seed: int, asked: Asked, profile: str, memory: _Memory
) -> Iterator[tuple[str, Example]]:
    """Every example before the free draws with its part, as it is asked, without copies."""
    design = (sparing_rows if asked.costly_calls else rows_for)(asked.claims)
    quick, rest = design.rows[: design.paired], design.rows[design.paired :]
    for number, row in enumerate(quick):
        has_room = number // SIBLING_EVERY < QUICK - len(quick)
        yield _of_row(seed, number, row, asked, memory, has_room=has_room, paired=True)
    if profile == "quick":
        return
    ladders = list(_ladders(seed, asked, memory))
    yield from ladders[:_TOPS]
    # Ladders and rows by turns, so that a shorter campaign has of both.
    for number, (row, rung) in enumerate(zip_longest(rest, ladders[_TOPS:]), len(quick)):
        if row is not None:
            yield _of_row(seed, number, row, asked, memory)
        if rung is not None:
            yield rung
    if profile == "default":
        return
    for number, row in enumerate(design.late, len(design.rows)):
        yield _of_row(seed, number, row, asked, memory)


def _of_row(
    seed: int,
    number: int,
    row: Designed,
    asked: Asked,
    memory: _Memory,
    *,
    has_room: bool = True,
    paired: bool = False,
) -> tuple[str, Example]:
    """The example of a row; every fifth one with a sibling, where there is room for one."""
    has_sibling = number % SIBLING_EVERY == SIBLING_EVERY - 1 and has_room
    part = "rows" if row.popular is None else "popular"
    popular = None if row.popular is None else POPULAR[row.popular]
    for attempt in range(TRIES):
        state = f"{seed}/{part}/{number}/{attempt}"

        def made(sibling: str, state: str = state) -> Example:
            pick = random.Random(state).choice
            drawn = example(row.levels, pick, popular=popular, sibling=sibling)
            return _as_asked(drawn, asked, paired=paired)

        found = memory.with_sibling(made) if has_sibling else made("")
        if identity(found[0], asked) not in memory.seen:
            break
    memory.seen.update(identity(one[0], asked) for one in configurations(found))
    return part, found


class _Memory:
    """What a plan has had: configurations, and when each kind of sibling came last."""

    def __init__(self) -> None:
        self.seen: set[tuple[object, ...]] = set()
        self.kinds = list(SIBLINGS)

    def with_sibling(self, made: Callable[[str], Example]) -> Example:
        """The example with a sibling of the kind that has waited longest, of those it can have."""
        for kind in self.kinds:
            found = made(kind)
            if len(configurations(found)) > 1:
                self.kinds.remove(kind)
                self.kinds.append(kind)
                return found
        return made("")


def _ladders(seed: int, asked: Asked, memory: _Memory) -> Iterator[tuple[str, Example]]:
    """The claimed rungs of the ladders: integers, then normal data where it comes first.

    Ends of ladders come with special values too, which large sizes treat by other code.
    Where calls are costly each comes in one mode, and few of those with groups.
    """
    for number, rung in enumerate(rungs.rungs()):
        rng = random.Random(f"{seed}/ladders/{number}")
        case = rungs.case(rung, rng.choice, asked)
        if not asked.may_ask(case):
            continue
        few = asked.costly_calls and number >= _ALL_TOPS
        if few and (rung.again or takes_long(case) or (case.geometry.groups > 1 and number % 3)):
            continue
        usual = ("normal", "special") if number < _TOPS else ("normal",)
        kinds = rung.ladder.kinds or usual
        others = (replace(case, data=kind, seed=case.seed + n) for n, kind in enumerate(kinds, 1))
        found = _as_asked((case,) if rung.again or few else (case, *others), asked)
        memory.seen.add(identity(found[0], asked))
        yield "ladders", found


def _as_asked(found: Example, asked: Asked, *, paired: bool = False) -> Example:
    """An example as it is asked; without the sibling where that is not claimed or is no other.

    Where calls are costly it has fewer inputs, unless pairs need them. Some calls of a function
    have to be refused.
    """
    parts = [adapt(part, asked) for part in configurations(found) if all(map(asked.may_ask, part))]
    parts = configurations(tuple(case for part in parts for case in part))[:2]
    if asked.costly_calls:
        siblings = [part for part in parts[1:] if not takes_long(part[0])]
        parts = [fewer(part, paired=paired) for part in [*parts[:1], *siblings]]
    cases = ((part[0], *refused(part[0], asked), *part[1:]) for part in parts)
    return tuple(case for part in cases for case in part)


__all__ = [
    "CORPUS",
    "PARTS",
    "PROFILES",
    "SHRINK_ATTEMPTS",
    "VERSION",
    "WHOLE",
    "Asked",
    "Example",
    "Planned",
    "Shard",
    "Undrawn",
    "adapt",
    "configurations",
    "given",
    "outline",
    "plan",
    "refuse_unclaimed",
    "smallest",
]
