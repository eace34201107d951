"""Which cases a campaign runs: drawn by Hypothesis in batches, the same for the same seed.

The number of workers plays no part: batches are drawn here, in one process, and numbered.
"""

from __future__ import annotations

import contextlib
import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count

from hypothesis import HealthCheck, Phase, settings
from hypothesis import given as hypothesis_given
from hypothesis import seed as hypothesis_seed

from conformance.campaign.messages import Subject
from conformance.capabilities import EVERYTHING, Capabilities
from conformance.case import Case
from conformance.errors import UsageError
from conformance.strategies import Example, configurations, examples

BATCH = 100
SHRINK_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class Planned:
    """A drawn example with its place in the campaign.

    Attributes:
        batch: number of the batch it was drawn in.
        at: number of its first configuration, 1 for the first of the campaign.
        example: the cases as drawn.
    """

    batch: int
    at: int
    example: Example

    def configurations(self) -> list[tuple[int, Example]]:
        """(number, cases) of each configuration."""
        return list(enumerate(configurations(self.example), start=self.at))


def plan(
    seed: int, limit: int | None, capabilities: Capabilities = EVERYTHING
) -> Iterator[Planned]:
    """Examples in order, until `limit` configurations are reached (or for ever).

    Hypothesis draws simple examples first; each batch is shuffled, so that a short campaign is a
    fair sample of a long one. Equal capabilities give equal examples.
    """
    at = 1
    for batch in count():
        drawn = _draw(seed, batch, capabilities)
        random.Random(_batch_seed(seed, batch)).shuffle(drawn)
        for example in drawn:
            parts = configurations(example)
            if limit is not None and at + len(parts) > limit + 1:
                parts = parts[: limit + 1 - at]
                if not parts:
                    return
            yield Planned(batch, at, tuple(case for part in parts for case in part))
            at += len(parts)


def given(examples: Iterable[Example]) -> Iterator[Planned]:
    """Examples that are not drawn."""
    at = 1
    for example in examples:
        yield Planned(0, at, example)
        at += len(configurations(example))


def refuse_unclaimed(cases: Iterable[Case], subject: Subject) -> None:
    """Refuse cases that no Keras layer does, unless they are claimed: they would be no finding.

    Raises:
        UsageError: strides and dilation_rate of a case are both above 1.
    """
    for case in cases:
        both = max(case.stride) > 1 and max(case.dilation) > 1
        if both and not subject.declared.strides_with_dilation:
            raise UsageError(
                f"case '{case}': strides {case.stride} and dilation_rate {case.dilation} are both "
                f"above 1, which Keras refuses and {subject.name} does not claim"
            )


def adapt(cases: Example, subject: Subject) -> Example:
    """The cases as `subject` is asked them.

    A Winograd or FFT convolution gets integers so small that its errors stay below one half. A
    function has no activation and no dtype policy. TensorFlow compiles a grouped convolution anew
    at every call, so where calls are costly one input of a grouped configuration has to do.
    """
    if subject.kind == "function":
        cases = tuple(
            replace(case, activation=None, dtype=case.dtype and case.compute_dtype)
            for case in cases
        )
    if subject.declared.algorithm != "direct":
        cases = tuple(replace(c, data="small") if c.data == "integers" else c for c in cases)
    if not subject.costly_calls or cases[0].group_count == 1:
        return cases
    kept = zlib.crc32(str(cases[0]).encode()) % 3 == 0 and len(cases) > 1
    return cases[1:2] if kept else cases[:1]


def smallest(
    seed: int,
    target: Planned,
    fails: Callable[[Example], bool],
    capabilities: Capabilities = EVERYTHING,
    attempts: int = SHRINK_ATTEMPTS,
) -> Example:
    """The simplest example that `fails`, shrunk by Hypothesis from `target`, which does.

    The batch is drawn again up to the target, and from there Hypothesis shrinks. After `attempts`
    calls of `fails` nothing new is tried: a bound that, unlike a time limit, gives the same answer
    on every machine.
    """
    known: dict[str, bool] = {}
    found = False
    best = target.example

    def still_fails(example: Example) -> bool:
        key = "+".join(map(str, example))
        if key not in known:
            if len(known) >= attempts:
                return False
            known[key] = fails(example)
        return known[key]

    class _Fails(Exception):
        pass

    def body(example: Example) -> None:
        nonlocal found, best
        found = found or example[: len(target.example)] == target.example
        if found and still_fails(example):
            best = example
            raise _Fails

    with contextlib.suppress(_Fails):
        phases = (Phase.generate, Phase.shrink)
        _under_hypothesis(body, _batch_seed(seed, target.batch), phases, capabilities)
    return best


def _draw(seed: int, batch: int, capabilities: Capabilities) -> list[Example]:
    drawn: list[Example] = []
    _under_hypothesis(drawn.append, _batch_seed(seed, batch), (Phase.generate,), capabilities)
    return drawn


def _under_hypothesis(
    body: Callable[[Example], None],
    seed: int,
    phases: tuple[Phase, ...],
    capabilities: Capabilities,
) -> None:
    run = settings(
        max_examples=BATCH,
        phases=phases,
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=[HealthCheck.too_slow],  # its clock would be the implementation's
    )(hypothesis_given(examples(capabilities))(lambda example: body(example)))
    hypothesis_seed(seed)(run)()


def _batch_seed(seed: int, batch: int) -> int:
    return zlib.crc32(f"{seed}/{batch}".encode())
