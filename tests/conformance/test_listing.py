"""The list of all results: what the journal says, and nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.campaign.run import Settings, run
from conformance.case import Case
from conformance.journals.listing import folders_of, listing
from conformance.merging import merged
from conformance.plan import Asked, plan
from conformance.plan.classes import CLASSES, POPULAR_LAYER, classes_for, classes_of
from conformance.plan.coverage import Met, coverage
from conformance.plan.factors import row_of
from conformance.results import Listing, Report, Status
from conformance.targets import Target


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    folder = tmp_path_factory.mktemp("run")
    targets = (Target("planted:swapped_dilation"), Target("planted:without_groups"))
    settings = Settings(implementations=targets, examples=30, jobs=1, witness=False)
    return run(settings, folder=folder).report, folder


def listed(report: Report, *folders: Path, **options: int) -> Listing:
    """Of runs with one journal each."""
    found = listing(report, [[folder] for folder in folders], **options)
    assert found is not None
    return found


def counted(found: Listing) -> Counter[tuple[str, str, Status]]:
    return Counter(
        (row.implementation, check, row.status) for row in found.rows for check in row.checks
    )


def test_has_every_outcome_that_the_report_counts(done: tuple[Report, Path]):
    report, folder = done
    found = listed(report, folder)
    assert found.of == len(found.rows)
    assert found.without == []
    assert counted(found) == {
        (result.name, check, status): number
        for result in report.implementations
        for check, counts in result.checks.items()
        for status, number in counts.items()
        if number
    }


def test_tells_the_classes_that_the_report_counts(done: tuple[Report, Path]):
    report, folder = done
    found = listed(report, folder)
    for result in report.implementations:
        cases = dict.fromkeys(r.case for r in found.rows if r.implementation == result.name)
        met = Counter(
            (kind, classes[level])
            for case in cases
            for (kind, classes), level in zip(
                found.classes.items(), found.levels[case], strict=True
            )
            if level is not None
        )
        assert met == {
            (kind, name): sum(counts.values())
            for kind, classes in result.classes.items()
            for name, counts in classes.items()
            if counts
        }


def test_where_there_are_too_many_failures_come_first(done: tuple[Report, Path]):
    report, folder = done
    whole = listed(report, folder)
    failures = [row for row in whole.rows if row.status is Status.FAILED]
    assert failures
    cut = listed(report, folder, most=len(failures) + 3)
    assert (len(cut.rows), cut.of) == (len(failures) + 3, whole.of)
    assert [row for row in cut.rows if row.status is Status.FAILED] == failures
    assert [row for row in whole.rows if row in cut.rows] == cut.rows
    assert listed(report, folder, most=len(failures) + 3) == cut


def test_merged_runs_have_the_names_of_the_merged_report(done: tuple[Report, Path], tmp_path: Path):
    report, folder = done
    other = run(
        Settings(
            implementations=(Target("planted:without_groups"),), examples=4, jobs=1, witness=False
        ),
        folder=tmp_path,
    ).report
    both = merged([report, other], command="merge")
    assert folders_of([report, other], [folder, tmp_path]) == [[folder], [tmp_path]]
    found = listed(both, folder, tmp_path)
    names = [result.name for result in both.implementations]
    assert len({*names}) == 3
    assert {row.implementation for row in found.rows} == {*names}
    assert found.of == listed(report, folder).of + listed(other, tmp_path).of


def test_a_run_without_its_journal_is_named(done: tuple[Report, Path], tmp_path: Path):
    report, folder = done
    lost = replace(report, settings=report.settings | {"seed": 99})
    both = merged([report, lost], command="merge")
    folders = folders_of([report, lost, both], [folder, folder, folder])
    assert folders == [[folder], [], [], []]
    names = [result.name for result in both.implementations]
    found = listing(both, folders[:2])
    assert found is not None
    assert found.without == names[2:]
    assert listing(report, [[tmp_path]]) is None
    assert not list(tmp_path.iterdir())


def class_names(case: Case) -> dict[str, str]:
    numbers = zip(CLASSES.items(), classes_of(case, row_of(case)), strict=True)
    return {kind: names[number] for (kind, names), number in numbers if number >= 0}


@pytest.mark.parametrize("kind", ["function", "layer"])
def test_every_case_of_a_plan_is_of_known_classes(kind: str):
    asked = Asked(kind, contract=kind == "layer")
    cases = [case for planned in plan(0, asked, limit=200) for case in planned.example]
    met = {found for case in cases for found in class_names(case).items()}
    assert all(name in CLASSES[kind] for kind, name in met)
    possible = {(kind, name) for kind, names in classes_for(asked).items() for name in names}
    assert possible - met <= {(POPULAR_LAYER, name) for name in CLASSES[POPULAR_LAYER]}
    plain = [case for case in cases if case.asks == "values"]
    layers = {class_names(case).get(POPULAR_LAYER) for case in plain} - {None}
    assert len(layers) == coverage(Met(plain), asked)["popular"]["met"]


def test_what_is_varied_is_told_by_that_alone():
    varied = Case.parse("in1x4x4x1-f1-k3-but.strides.zero-integers.1")
    assert class_names(varied) == {"varied": "strides"}
    refused = Case.parse("in1x4x4x1-f1-k3-but.kernel_exceeds_input-integers.1")
    assert class_names(refused) == {"call to refuse": "kernel_exceeds_input"}
