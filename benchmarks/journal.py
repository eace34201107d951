"""What a long campaign costs besides its cases: a million results recorded, read and reported.

The cases are those of the plan with ever new seeds, or those of ever new plans; one in a hundred
fails with a message of its own. Nothing is measured but the journal, the tally that is made of it,
and the report with the list of all results. Seconds are of the processor.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

from conformance.campaign.findings import findings
from conformance.campaign.summary import summary
from conformance.case import Case
from conformance.implementations.info import Info
from conformance.journals.journal import FILES, Entry, Journal
from conformance.journals.listing import listing
from conformance.journals.outcomes import Outcome
from conformance.journals.tally import Tally
from conformance.plan import Asked, Planned, plan
from conformance.report import write_all
from conformance.results import Report, Status

NAME = "module:conv2d"
PASSED = ("output_shape", "output_dtype", "own_memory", "repeated_call", "unchanged_inputs")
FAILS_EVERY = 100


def examples(*, plans: bool) -> Iterator[Planned]:
    """The plan over and over, each time with other seeds; with `plans`, each time another plan."""
    whole = list(plan(0, Asked("function"), profile="default"))
    at = 1
    for turn in count():
        if plans:
            whole = list(plan(turn, Asked("function"), profile="default"))
        for planned in whole:
            cases = tuple(replace(case, seed=case.seed + turn * 10_000) for case in planned.example)
            one = Planned(planned.part, at, cases)
            at += len(one.configurations())
            yield one


def outcomes(case: Case, number: int) -> list[Outcome]:
    """What a run would have found."""
    value = "exact_values" if case.data == "integers" else "bounded_values"
    ratio = None if value == "exact_values" else number % 997 / 1000
    found = [Outcome(check=name, status=Status.PASSED) for name in PASSED]
    if number % FAILS_EVERY:
        return [*found, Outcome(check=value, status=Status.PASSED, ratio=ratio)]
    message = (
        f"element (0, 0, 0, 0): expected {number}, got {number + 1}; 1 of 4 elements are wrong"
    )
    wrong = {"status": Status.FAILED, "cause": "values differ from the exact result"}
    return [*found, Outcome(check=value, message=message, ratio=ratio, **wrong)]


def record(folder: Path, results: int, *, plans: bool = False) -> tuple[int, int]:
    """A journal with so many results; how many cases, and how many results they are."""
    journal = Journal(folder)
    journal.measures(NAME, Info(name=NAME, kind="function"))
    cases = written = 0
    for planned in examples(plans=plans):
        numbered = [(at, case) for at, part in planned.configurations() for case in part]
        for position, (at, case) in enumerate(numbered):
            place = (NAME, planned.part, at, position)
            row = journal.started(Entry(*place, case, None, planned.number, len(numbered)))
            found = outcomes(case, cases)
            journal.decided(row, found, cases / 100)
            cases, written = cases + 1, written + len(found)
        if written >= results:
            break
    journal.close()
    assert not journal.trouble, journal.trouble
    return cases, written


def tallied(folder: Path) -> Tally:
    """The tally of what the journal has."""
    journal, tally = Journal(folder, resume=True), Tally(Info(name=NAME, kind="function"))
    for decided in journal.examples(NAME):
        tally.add_example(decided)
    tally.settle()
    journal.close()
    return tally


def report(tally: Tally, folder: Path) -> None:
    """The files of a report."""
    result = summary(tally, findings(tally, None))
    made = Report(
        environment={}, settings={"seed": 0}, rules={}, headline=[], implementations=[result]
    )
    write_all(made, folder, listing(made, [[folder]]))


def memory() -> str:
    """The most that was held so far."""
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, default=1_000_000)
    parser.add_argument("--plans", action="store_true", help="cases of ever new plans")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, began = Path(name), time.process_time()
        cases, results = record(folder, asked.results, plans=asked.plans)
        print(f"recorded  {time.process_time() - began:6.1f} s  {memory()}", flush=True)
        size = sum(Path(folder, f).stat().st_size for f in FILES if Path(folder, f).exists())
        began = time.process_time()
        tally = tallied(folder)
        print(f"read      {time.process_time() - began:6.1f} s  {memory()}", flush=True)
        began = time.process_time()
        report(tally, folder)
        print(f"reported  {time.process_time() - began:6.1f} s  {memory()}")
        assert tally.cases == cases
        print(f"{results} results of {cases} cases; journal {size / 2**20:.0f} MiB on disk")


if __name__ == "__main__":
    main()
