"""Vectors: what is written is what FORMAT.md says, and every answer to it is judged or told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import foreign
import ml_dtypes
import numpy as np
import pytest
import tried

import reference_impl
from conformance.capabilities import EVERYTHING
from conformance.case import Case
from conformance.criteria import expected
from conformance.data import arrays
from conformance.errors import Crashed, Unsupported, UsageError
from conformance.implementations.recorded import RecordedOutputs
from conformance.results import Status
from conformance.vectors import export, planned_cases

SETTINGS = {"seed": 3, "examples": 5}
BASE = Case.parse("in2x7x6x6-f4-k3x2-integers.1")


def many() -> Iterator[Case]:
    """Every combination of what a program must tell apart, on unequal axes."""
    steps = [(None, None), ((1, 3), None), ((3, 2), None), (None, (2, 1)), (None, (1, 2))]
    for (s, d), padding, first, groups, bias, dtype, data in product(
        steps, ("valid", "same"), (False, True), (1, 2), (False, True), (None, "float64"),
        ("integers", "normal"),
    ):  # fmt: skip
        yield replace(
            BASE,
            input_shape=(2, 6, 7, 6) if first else BASE.input_shape,
            data_format="channels_first" if first else None,
            strides=s,
            dilation_rate=d,
            padding=padding,
            groups=groups,
            use_bias=bias,
            dtype=dtype,
            data=data,
        )


CASES = [
    *many(),
    *(
        Case.parse(text)
        for text in (
            "in0x7x6x6-f4-k3x2-integers.1",
            "in1x1x1x1-f1-k1-integers.1",
            "in1x9x9x3-f2-k4-s2-same-cancelling.1",
            "in1x5x5x3-f2-k3-wide.1",
            "in1x5x5x3-f2-k3-float16-normal.1",
            "in1x5x5x3-f2-k3-bfloat16-integers.1",
        )
    ),
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("vectors") / "all"
    export(folder, CASES, SETTINGS)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder of five cases; the last one is of bfloat16."""
    folder = tmp_path / "small"
    texts = ("k1", "k2", "k3", "k2-normal.2", "k1-bfloat16")
    cases = [Case.parse(f"in2x4x5x1-f3-{t}" + ("-integers.1" * ("." not in t))) for t in texts]
    export(folder, cases, SETTINGS)
    return folder


def run_program(program: Path, folder: Path) -> None:
    with (folder / "cases.bin").open("rb") as asked, (folder / "outputs.bin").open("wb") as given:
        subprocess.run([program], stdin=asked, stdout=given, check=True)


def right(case: Case) -> Any:
    data = arrays(case)
    return reference_impl.conv2d(data.x, data.kernel, data.bias, **case.function_arguments())


def answer(number: int, value: Any) -> bytes:
    """An answer record, as FORMAT.md describes it."""
    codes = {"float32": 1, "float64": 2, "float16": 3, "bfloat16": 4}
    if isinstance(value, tuple):
        status, text = value
        head, rest, length = [status, 0, 0, 0, 0, 0], text.encode(), len(text.encode())
    else:
        head, rest, length = [0, codes[value.dtype.name], *value.shape], value.tobytes(), 0
    rest += bytes(-len(rest) % 8)
    return b"C2DANSW1" + np.array([80 + len(rest), number, *head, length], "<i8").tobytes() + rest


def answers(folder: Path) -> list[bytes]:
    """A right answer to every case of a folder."""
    return [answer(number, right(case)) for number, case in enumerate(planned_cases(folder))]


def statuses(folder: Path) -> dict[str, set[Status]]:
    """The verdicts on every case of a folder."""
    implementation = RecordedOutputs(folder)
    return {
        str(case): {j.status for j in tried.judged(case, implementation)}
        for case in planned_cases(folder)
    }


def output(folder: Path, number: int) -> Any:
    case = planned_cases(folder)[number]
    data = arrays(case)
    return RecordedOutputs(folder).prepare(case, data).call(data.x)


def refusal(action: Callable[[], Any]) -> str:
    with pytest.raises(UsageError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is written ----------------------------------------------------------------------------------


def case_of_record(data: bytes) -> tuple[list[int], Any, Any, Any]:
    """Header and arrays of a case record, read by FORMAT.md alone."""
    h: list[int] = np.frombuffer(data, "<i8", 32).tolist()
    dtype = np.dtype([np.float32, np.float64, np.float16, ml_dtypes.bfloat16][h[3] - 1])
    n, height, width, c = h[5:9]
    shapes = [(n, c, height, width) if h[4] else (n, height, width, c), tuple(h[9:13]), (h[12],)]
    at, found = 256, []
    for shape in shapes[: 2 + h[19]]:
        count = int(np.prod(shape))
        found.append(np.frombuffer(data, dtype, count, at).reshape(shape))
        at += -(-count * dtype.itemsize // 8) * 8
    assert at == h[1] == len(data)
    return h, found[0], found[1], found[2] if h[19] else None


def test_the_records_hold_every_case_as_it_is_described(exported: Path):
    asked = (exported / "cases.bin").read_bytes()
    lines = [json.loads(line) for line in (exported / "cases.jsonl").read_text().splitlines()]
    assert [Case.parse(line["case"]) for line in lines] == CASES
    at = 0
    for number, (case, line) in enumerate(zip(CASES, lines, strict=True)):
        assert line["offset"]["cases.bin"] == at
        length = int.from_bytes(asked[at + 8 : at + 16], "little")
        h, x, kernel, bias = case_of_record(asked[at : at + length])
        at += length
        assert asked[at - length :][:8] == b"C2DCASE1"
        data = arrays(case)
        assert h[2] == line["id"] == number
        assert (tuple(h[13:15]), tuple(h[15:17])) == (
            case.geometry.strides,
            case.geometry.dilation_rate,
        )
        assert (h[17], h[18]) == (case.geometry.padding == "same", case.geometry.groups)
        assert tuple(h[20:24]) == right(case).shape == tuple(line["output_shape"])
        assert h[24:] == [0] * 8
        for sent, own in ((x, data.x), (kernel, data.kernel), (bias, data.bias)):
            assert (sent is None) == (own is None)
            if own is not None:
                assert sent.dtype == own.dtype
                np.testing.assert_array_equal(sent, own)
    assert at == len(asked)


def test_what_is_expected_is_written_twice_and_bounded(exported: Path):
    wanted = (exported / "expected.bin").read_bytes()
    for line in map(json.loads, (exported / "cases.jsonl").read_text().splitlines()):
        case = Case.parse(line["case"])
        want = expected(case, arrays(case), EVERYTHING)
        at = line["offset"]["expected.bin"]
        assert wanted[at : at + 8] == b"C2DWANT1"
        h: list[int] = np.frombuffer(wanted, "<i8", 10, at).tolist()
        assert h[2:4] == [line["id"], line["exact"]] == [line["id"], want.exact]
        assert tuple(h[5:9]) == want.value.shape
        values = np.frombuffer(wanted, np.float64, 2 * h[9], at + 80).reshape(2, *h[5:9])
        stored = np.load(exported / line["arrays"])
        for array, name in zip(values, ("expected", "bound"), strict=True):
            np.testing.assert_array_equal(array, stored[name])
        np.testing.assert_array_equal(values[0], want.value)
        assert (values[1][~want.overflow] == want.bound[~want.overflow]).all()
        assert np.isposinf(values[1][want.overflow]).all()
        rounded = want.rounded.tobytes()
        assert wanted[at + 80 + 16 * h[9] :].startswith(rounded)
        assert stored["rounded"].tobytes() == rounded
        assert ("bias" in stored.files) == case.has_bias


def test_a_comparison_without_the_suite_accepts_what_is_right(exported: Path):
    for path in sorted((exported / "arrays").iterdir()):
        stored = np.load(path)
        got = stored["rounded"]
        got = got.view(ml_dtypes.bfloat16) if got.dtype == np.uint16 else got
        error = np.abs(got.astype(np.float64) - stored["expected"])
        assert (np.isinf(stored["bound"]) | (error <= stored["bound"])).all()


def test_where_the_result_may_overflow_the_bound_is_infinite(tmp_path: Path):
    case = Case.parse("in1x9x9x1000-f1-k8-same-float16-wide.1")
    want = expected(case, arrays(case), EVERYTHING)
    export(tmp_path / "v", [case], {})
    bound = np.load(tmp_path / "v/arrays/000000.npz")["bound"]
    assert want.overflow.any()
    np.testing.assert_array_equal(np.isinf(bound), want.overflow)


def test_bfloat16_is_stored_as_its_bits(exported: Path):
    stored = np.load(exported / f"arrays/{len(CASES) - 1:06d}.npz")
    assert {stored[name].dtype for name in ("x", "kernel", "bias", "rounded")} == {np.dtype("u2")}
    x = stored["x"].view(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(x, arrays(CASES[-1]).x)


def test_the_folder_describes_itself_in_the_words_of_the_package(exported: Path):
    own = files("conformance.vectors").joinpath("FORMAT.md").read_bytes()
    assert (exported / "README.md").read_bytes() == own


@pytest.mark.parametrize("magic", ["C2DCASE1", "C2DANSW1", "C2DWANT1"])
def test_the_description_gives_each_magic_as_text_and_as_a_number(magic: str):
    text = files("conformance.vectors").joinpath("FORMAT.md").read_text("utf-8")
    assert f"`{magic}` ({int.from_bytes(magic.encode(), 'little'):#x})" in text


def test_the_manifest_holds_what_made_it(exported: Path):
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["schema"] == 1
    assert manifest["settings"] == SETTINGS
    assert manifest["cases"] == len(CASES)
    assert manifest["made_by"]["numpy"] == np.__version__


def test_the_same_cases_give_the_same_bytes(exported: Path, tmp_path: Path):
    export(tmp_path / "again", CASES, SETTINGS)
    for path in exported.rglob("*.*"):
        again = tmp_path / "again" / path.relative_to(exported)
        assert path.name == "outputs.bin" or again.read_bytes() == path.read_bytes()


def test_cases_become_those_of_a_function_and_equal_ones_are_written_once(tmp_path: Path):
    given = [
        replace(BASE, activation="relu", dtype="mixed_float16"),
        replace(BASE, view="sliced", dtype="float16"),
        BASE,
    ]
    export(tmp_path / "v", given, {})
    assert planned_cases(tmp_path / "v") == [replace(BASE, dtype="float16"), BASE]


def test_a_folder_that_holds_something_is_left_alone(small: Path, tmp_path: Path):
    before = sorted(small.rglob("*"))
    assert f"{small} exists and is not an empty folder" in refusal(lambda: export(small, CASES, {}))
    assert sorted(small.rglob("*")) == before
    assert "not an empty folder" in refusal(lambda: export(small / "cases.bin", CASES, {}))
    assert "cannot write" in refusal(lambda: export(small / "cases.bin" / "v", CASES, {}))
    assert "no case" in refusal(lambda: export(tmp_path / "new", [], {}))
    (tmp_path / "empty").mkdir()
    export(tmp_path / "empty", [BASE], {})


# Programs -----------------------------------------------------------------------------------------


def test_the_example_in_c_is_right_on_all_cases(exported: Path, tmp_path: Path):
    folder = tmp_path / "v"
    shutil.copytree(exported, folder)
    run_program(foreign.compiled(tmp_path), folder)
    for text, made in statuses(folder).items():
        assert not made & {Status.FAILED, Status.CRASHED}, text
        assert (Status.PASSED in made) == ("float16" not in text)


PLANTED = [
    ("? total / 2 : 0", "? total - total / 2 : 0", "same"),
    ("? total / 2 : 0", "? 0 : 0", "same"),
    ("a * q->dilation_h", "a * q->dilation_w", "-d"),
    ("j * q->stride_w", "j * q->stride_h", "s"),
    ("/ q->groups) * q->depth", "/ q->groups) * 0", "g2"),
    ("q->has_bias ?", "0 ?", ""),
    ("at(i, j, f, height, width, q->filters, q->channels_first)",
     "at(i, j, f, height, width, q->filters, 0)", "cf"),
    ("double sum", "float sum", "float64"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "where"), PLANTED, ids=[new for _, new, _ in PLANTED])
def test_a_fault_planted_in_the_example_is_found_where_it_is(
    exported: Path, tmp_path: Path, old: str, new: str, where: str
):
    folder = tmp_path / "v"
    shutil.copytree(exported, folder)
    run_program(foreign.compiled(tmp_path, (old, new)), folder)
    failed = [text for text, made in statuses(folder).items() if Status.FAILED in made]
    assert failed
    assert all(where in text for text in failed)
    assert not any("nobias" in text for text in failed if new.startswith("0 "))


def test_a_program_reads_the_records_by_their_description(exported: Path, tmp_path: Path):
    folder = tmp_path / "v"
    shutil.copytree(exported, folder)
    body = "read(); message(1, f'case {h[2]}')"
    command = foreign.python_program(tmp_path, body)
    pipe = f"{command} < v/cases.bin > v/outputs.bin"
    subprocess.run(pipe, shell=True, cwd=tmp_path, check=True)
    with pytest.raises(Unsupported, match=r"^case 7$"):
        output(folder, 7)


# What comes back ----------------------------------------------------------------------------------


def test_nothing_is_called(small: Path):
    (small / "outputs.bin").write_bytes(b"".join(answers(small)))
    implementation = RecordedOutputs(small)
    assert (implementation.recorded, implementation.kind) == (True, "function")
    assert implementation.name == f"vectors:{small}"
    assert (implementation.missing, implementation.stopped_at) == (0, None)
    assert statuses(small).keys() == {str(case) for case in planned_cases(small)}


@pytest.mark.parametrize("form", ["outputs.bin", "outputs.npz", "outputs", "short names"])
def test_every_form_of_results_is_read(small: Path, form: str):
    results = [right(case) for case in planned_cases(small)]
    bits = [r.view(np.uint16) if r.dtype == ml_dtypes.bfloat16 else r for r in results]
    if form == "outputs.bin":
        (small / form).write_bytes(b"".join(answers(small)[::-1]))
    elif form == "outputs.npz":
        arrays_by_id: dict[str, Any] = {str(n): array for n, array in enumerate(bits)}
        np.savez(small / form, **arrays_by_id)
    else:
        (small / "outputs").mkdir()
        for number, array in enumerate(bits):
            name = f"{number}" if form == "short names" else f"{number:06d}"
            np.save(small / f"outputs/{name}.npy", array)
    for number, result in enumerate(results):
        assert output(small, number).dtype == result.dtype
        np.testing.assert_array_equal(output(small, number), result)


def test_bfloat16_of_ml_dtypes_and_arrays_of_another_byte_order_are_read(small: Path):
    (small / "outputs").mkdir()
    results = [right(case) for case in planned_cases(small)]
    np.save(small / "outputs/4.npy", results[4])
    np.save(small / "outputs/0.npy", results[0].astype(">f4"))
    for number in (0, 4):
        assert output(small, number).dtype == results[number].dtype
        np.testing.assert_array_equal(output(small, number), results[number])


def test_a_case_without_an_output_is_unsupported(small: Path):
    np.savez(small / "outputs.npz", **{"1": right(planned_cases(small)[1])})
    assert RecordedOutputs(small).missing == 4
    with pytest.raises(Unsupported, match="no output was given"):
        output(small, 0)
    made = statuses(small)
    assert sum(verdicts == {Status.UNSUPPORTED} for verdicts in made.values()) == 4


def test_a_case_that_was_not_exported_has_no_output(small: Path):
    (small / "outputs.bin").write_bytes(b"".join(answers(small)))
    with pytest.raises(Unsupported, match="no output was given"):
        RecordedOutputs(small).prepare(BASE, arrays(BASE)).call(arrays(BASE).x)


def test_another_dtype_or_shape_is_judged(small: Path):
    first, second, *rest = answers(small)
    one = right(planned_cases(small)[1])
    for wrong in (one.astype(np.float64), one[:, 1:]):
        (small / "outputs.bin").write_bytes(b"".join([first, answer(1, wrong), *rest]))
        failed = [text for text, made in statuses(small).items() if Status.FAILED in made]
        assert failed == [str(planned_cases(small)[1])]
    assert second


def test_unsupported_and_errors_come_with_their_message(small: Path):
    records = answers(small)
    records[1], records[2] = answer(1, (1, "no groups")), answer(2, (2, "out of memory"))
    (small / "outputs.bin").write_bytes(b"".join(records))
    with pytest.raises(Unsupported, match=r"^no groups$"):
        output(small, 1)
    with pytest.raises(RuntimeError, match=r"^out of memory$"):
        output(small, 2)
    made = list(statuses(small).values())
    assert made[1] == {Status.UNSUPPORTED}
    assert Status.FAILED in made[2]


@pytest.mark.parametrize("rest", ["", "part of a header", "part of the values"])
def test_a_program_that_died_midway_is_told_at_the_case_where_it_did(small: Path, rest: str):
    records = answers(small)
    part = {"": b"", "part of a header": records[2][:30], "part of the values": records[2][:99]}
    (small / "outputs.bin").write_bytes(b"".join(records[:2]) + part[rest])
    cases = planned_cases(small)
    implementation = RecordedOutputs(small)
    assert (implementation.missing, implementation.stopped_at) == (3, str(cases[2]))
    np.testing.assert_array_equal(output(small, 1), right(cases[1]))
    with pytest.raises(Crashed) as caught:
        output(small, 2)
    assert str(caught.value) == (
        "outputs.bin ends with 2 answers to 5 cases: the program ended or was stopped at case 2"
    )
    with pytest.raises(Unsupported, match="no output was given"):
        output(small, 3)


def test_no_answer_at_all_is_a_crash_at_the_first_case(small: Path):
    (small / "outputs.bin").write_bytes(b"")
    with pytest.raises(Crashed, match="stopped at case 0"):
        output(small, 0)


def damaged(records: list[bytes], at: int, value: int) -> bytes:
    """The answers with one field of the second one overwritten."""
    second = bytearray(records[1])
    second[8 * at : 8 * at + 8] = value.to_bytes(8, "little", signed=True)
    return b"".join([records[0], bytes(second), *records[2:]])


DAMAGES: list[tuple[Callable[[list[bytes]], bytes], str]] = [
    (lambda r: b"hello\n" + b"".join(r), 'byte 0: text "hello" where an answer record'),
    (lambda r: b"".join(r) + b"\ndone\n", 'text "done" where an answer record is expected'),
    (lambda r: damaged(r, 0, 1), "bytes 01 00 00 00 00 00 00 00 where an answer record"),
    (lambda r: damaged(r, 1, 80), "record length 80 where 368 is expected for float32 values"),
    (lambda r: damaged(r, 2, 5), "answers case 5; expected an id of 0 to 4"),
    (lambda r: damaged(r, 2, -1), "answers case -1; expected an id of 0 to 4"),
    (lambda r: damaged(r, 2, 0), "answers case 0 a second time"),
    (lambda r: damaged(r, 3, 9), "status 9 where 0, 1 or 2 is expected"),
    (lambda r: damaged(r, 4, 7), "dtype 7 where one of 1 (float32), 2 (float64)"),
    (lambda r: damaged(r, 6, -3), "output dimensions (2, -3, 4, 3), one of them negative"),
    (lambda r: damaged(r, 6, 2**62), "record length 368 where 4427"),
    (lambda r: b"".join(r).replace(b"\n", b"\r\n", 1).replace(b"2DANSW", b"2DANSV"), "byte 0: "),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "words"), DAMAGES, ids=[words for _, words in DAMAGES])
def test_damaged_answers_are_refused_by_place(
    small: Path, damage: Callable[[list[bytes]], bytes], words: str
):
    (small / "outputs.bin").write_bytes(damage(answers(small)))
    message = refusal(lambda: RecordedOutputs(small))
    assert words in message
    assert re.match(rf"{re.escape(str(small))}/outputs\.bin, byte \d+: ", message)


def test_damaged_arrays_are_refused_by_name(small: Path):
    (small / "outputs").mkdir()
    for content in (b"", b"no array", b"\x93NUMPY\x01\x00"):
        (small / "outputs/1.npy").write_bytes(content)
        message = refusal(lambda: RecordedOutputs(small))
        assert f"{small}/outputs/1.npy: expected one numerical array" in message
    np.save(small / "outputs/1.npy", np.array([None]))
    assert "expected one numerical array" in refusal(lambda: RecordedOutputs(small))
    np.savez(small / "outputs/1", np.zeros(3))
    (small / "outputs/1.npz").replace(small / "outputs/1.npy")
    assert "got an archive of several" in refusal(lambda: RecordedOutputs(small))
    (small / "outputs/1.npy").replace(small / "outputs/first.npy")
    assert "first.npy: expected the id of a case as the name, 0 to 4" in refusal(
        lambda: RecordedOutputs(small)
    )
    (small / "outputs/first.npy").replace(small / "outputs/0005.npy")
    assert "answers case 5; expected an id of 0 to 4" in refusal(lambda: RecordedOutputs(small))
    shutil.rmtree(small / "outputs")
    (small / "outputs").write_bytes(b"")
    assert "expected a folder with files such as" in refusal(lambda: RecordedOutputs(small))


def test_a_damaged_archive_is_refused_by_name(small: Path):
    np.save(small / "outputs.npy", np.zeros(3))
    for content in (b"", b"PK\x03\x04 no archive", (small / "outputs.npy").read_bytes()):
        (small / "outputs.npz").write_bytes(content)
        message = refusal(lambda: RecordedOutputs(small))
        assert f"{small}/outputs.npz: expected an archive of numerical arrays" in message
    np.savez(small / "outputs.npz", first=np.zeros(3))
    assert "array 'first': expected the id of a case" in refusal(lambda: RecordedOutputs(small))
    np.savez(small / "outputs.npz", **{"1": np.zeros(3), "01": np.zeros(3)})
    assert "answers case 1 a second time" in refusal(lambda: RecordedOutputs(small))


def test_what_to_give_is_said_where_nothing_or_too_much_is_given(small: Path):
    message = refusal(lambda: RecordedOutputs(small))
    assert "expected outputs.bin, outputs.npz, or one file for each case such as" in message
    (small / "outputs.bin").write_bytes(b"")
    (small / "outputs").mkdir()
    assert "both outputs.bin and outputs" in refusal(lambda: RecordedOutputs(small))
    (small / "outputs").rmdir()
    (small / "outputs.bin").unlink()
    (small / "outputs.bin").mkdir()
    assert f"cannot read {small}/outputs.bin" in refusal(lambda: RecordedOutputs(small))


# A folder that is not what was exported -----------------------------------------------------------


def test_what_is_no_folder_of_vectors_is_refused(small: Path, tmp_path: Path):
    for action in (lambda: planned_cases(tmp_path), lambda: RecordedOutputs(tmp_path)):
        assert f"conv2d-conformance vectors export {tmp_path}" in refusal(action)
    (small / "manifest.json").unlink()
    assert "it has no manifest.json" in refusal(lambda: planned_cases(small))


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", '{"schema": 1, "made_by": {}, "sha256": 1}'])
def test_a_damaged_manifest_is_refused(small: Path, text: str):
    (small / "manifest.json").write_text(text)
    assert f"{small}/manifest.json is not the manifest" in refusal(lambda: planned_cases(small))


def test_another_schema_is_refused(small: Path):
    manifest = json.loads((small / "manifest.json").read_text())
    (small / "manifest.json").write_text(json.dumps(manifest | {"schema": 2}))
    assert "has schema 2; this version reads schema 1" in refusal(lambda: planned_cases(small))


@pytest.mark.parametrize("name", ["cases.bin", "expected.bin", "cases.jsonl", "arrays/000003.npz"])
def test_a_changed_file_is_refused_by_name(small: Path, name: str):
    content = bytearray((small / name).read_bytes())
    if name == "cases.jsonl":
        content += content.splitlines(keepends=True)[-1].replace(b'"id": 4', b'"id": 5')
    else:
        content[-9] ^= 1
    (small / name).write_bytes(content)
    assert refusal(lambda: planned_cases(small)).startswith(f"{small}/{name} is not as it was")


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"id": 5}', '{"id": 5, "case": "in"}'])
def test_a_damaged_index_is_refused(small: Path, line: str):
    with (small / "cases.jsonl").open("a") as index:
        index.write(line + "\n")
    for action in (lambda: planned_cases(small), lambda: RecordedOutputs(small)):
        assert f"{small}/cases.jsonl is not the index" in refusal(action)


def test_what_was_not_needed_may_be_deleted(small: Path):
    before = planned_cases(small)
    shutil.rmtree(small / "arrays")
    (small / "cases.bin").unlink()
    (small / "expected.bin").unlink()
    assert planned_cases(small) == before


def test_an_installation_that_draws_other_values_is_told(
    small: Path, monkeypatch: pytest.MonkeyPatch
):
    from conformance.vectors import folder

    monkeypatch.setattr(folder, "arrays", lambda case: arrays(replace(case, seed=99)))
    message = refusal(lambda: planned_cases(small))
    assert "draws other values" in message
    assert f"numpy {np.__version__}" in message
