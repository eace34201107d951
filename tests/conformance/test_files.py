"""Whatever lies where a file is expected is read, or refused in one sentence."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance import UsageError
from conformance.baseline import described
from conformance.case import Case, CaseError, parse_sequence
from conformance.expectations import load
from conformance.implementations.recorded import RecordedOutputs
from conformance.reading import read
from conformance.vectors import export, planned_cases

CASES = tuple(
    Case.parse(text)
    for text in (
        "in2x5x4x1-f3-k2-integers.0",
        "in1x4x4x2-f2-k3-float64-normal.1",
        "in1x4x4x2-f2-k3-bfloat16-normal.2",
    )
)
XFAIL = """
[[expected_failure]]
check = ["exact_values", "output_shape"]
implementation = "mylib*"
when = { padding = "same", kernel = "h != w", groups = 2, strides = [1, 2] } # as 'known'
reason = '''known'''
strict = true
"""


def verified(folder: Path) -> None:
    """What ``vectors verify`` reads."""
    planned_cases(folder)
    RecordedOutputs(folder)


def refusal(reader: Callable[[Path], Any], path: Path) -> str:
    """The one sentence in which `path` is refused."""
    with pytest.raises(UsageError) as caught:
        reader(path)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 1500
    return str(caught.value)


def answers(cases: tuple[Case, ...]) -> dict[int, Any]:
    return {n: np.zeros(c.geometry.output_shape, np.float32) for n, c in enumerate(cases)}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of vectors with answers as single files."""
    folder: Path = tmp_path_factory.mktemp("vectors") / "v"
    export(folder, CASES, {})
    (folder / "outputs").mkdir()
    for number, array in answers(CASES).items():
        np.save(folder / f"outputs/{number:06d}.npy", array)
    verified(folder)
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "v"))


# What is no file ----------------------------------------------------------------------------------


def make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


ODD: dict[str, Callable[[Path], Any]] = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "memory": lambda path: path.symlink_to("/proc/self/mem"),
    "a folder": Path.mkdir,
    "a terabyte": make_sparse,
}
OF_VECTORS = (
    "manifest.json", "cases.jsonl", "cases.bin", "expected.bin", "arrays/000001.npz",
    "outputs/000001.npy", "outputs.bin", "outputs.npz",
)  # fmt: skip


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("reader", [load, read, described])
def test_what_is_no_file_is_refused(tmp_path: Path, reader: Callable[[Path], Any], what: str):
    path = tmp_path / "given"
    ODD[what](path)
    assert str(path) in refusal(reader, path)


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("name", OF_VECTORS)
def test_what_is_no_file_of_a_folder_of_vectors_is_refused(folder: Path, name: str, what: str):
    path = folder / name
    if path.exists():
        path.unlink()
    if path.parent == folder and name.startswith("outputs"):
        shutil.rmtree(folder / "outputs")
    ODD[what](path)
    assert str(path) in refusal(verified, folder)


@pytest.mark.parametrize("name", ["a\0b", "a" * 5000, "a\nb"])
@pytest.mark.parametrize("reader", [load, read, verified])
def test_a_name_that_no_file_can_have_is_refused(reader: Callable[[Path], Any], name: str):
    refusal(reader, Path(name))


# Text ---------------------------------------------------------------------------------------------

KNOWN = '[[expected_failure]]\ncheck = "exact_values"\nreason = "known"\n'
BOMBS = {
    "a number of 100000 digits": KNOWN + "when = { groups = " + "9" * 100_000 + " }",
    "a number in base 16": KNOWN + "when = { groups = 0x" + "f" * 100_000 + " }",
    "a list in lists": KNOWN + "link = " + "[" * 900 + "]" * 900,
    "a table in tables": "a = " + "{a = " * 900 + "1" + "}" * 900,
    "a key of 50000 parts": ".".join(["a"] * 50_000) + " = 1",
    "a heading of 50000 parts": "[" + ". ".join(['"a"'] * 50_000) + "]",
    "many headings": "".join(f"[{'.'.join(['a'] * 200)}.b{n}]\n" for n in range(2000)),
    "a long key": "a" * 400_000 + " = 1",
    "a long condition": KNOWN + f"when = {{ kernel = 'h == {'-' * 100_000}1' }}",
    "a long name of a check": KNOWN.replace("exact_values", "a" * 400_000),
    "a text without end": "a = " + '"\\' * 200_000,
    "half a megabyte": "#" * 2**19 + "#",
}


@pytest.mark.parametrize("what", BOMBS)
def test_expected_failures_that_cannot_be_meant_are_refused(tmp_path: Path, what: str):
    path = tmp_path / "known.toml"
    path.write_text(BOMBS[what], "utf-8")
    assert str(path) in refusal(load, path)


def test_long_conditions_within_the_bounds_are_read(tmp_path: Path):
    path = tmp_path / "known.toml"
    for text in ("-" * 490 + "1", "1+" * 240 + "1", "9" * 490):
        path.write_text(KNOWN + f"when = {{ kernel = 'h == {text}' }}", "utf-8")
        (entry,) = load(path)
        assert not entry.predicate(CASES[0])


@pytest.mark.parametrize(
    "text",
    [
        "in1x50000x50000x1-f1-k1-integers.0",
        "in1x2x2x1-f9999999-k9999999-same-integers.0",
        "in1x3x3x1-f1-k2-d9999999-same-integers.0",
        "in9x9999999x1x1-f1-k1-integers.0",
        "in1x4000x4000x1-f1-k300-same-integers.0",
    ],
)
def test_a_case_that_nobody_could_try_is_refused_before_it_is_drawn(folder: Path, text: str):
    with pytest.raises(CaseError, match="can be tried"):
        parse_sequence(text)
    rewrite_index(folder, lambda entry: entry | {"case": text})
    assert "can be tried" in refusal(verified, folder)


@pytest.mark.parametrize("text", ["-" * 100_000, "in1x1x1x1-f" + "9" * 100_000, "+" * 100_000])
def test_a_long_case_string_is_not_repeated_whole(text: str):
    with pytest.raises(CaseError) as caught:
        parse_sequence(text)
    assert len(str(caught.value)) < 1000


# Folders of vectors -------------------------------------------------------------------------------


def rewrite_index(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the last line of the index, and its sum in the manifest."""
    *others, last = (folder / "cases.jsonl").read_text("utf-8").splitlines()
    lines = [*others, json.dumps(change(json.loads(last)))]
    (folder / "cases.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    mend_sums(folder)


def mend_sums(folder: Path) -> None:
    """Make the manifest say the sums that the files have."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    for name in manifest["sha256"]:
        manifest["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


@pytest.mark.parametrize(
    "name", ["../../../../etc/passwd", "/etc/passwd", "/dev/zero", "arrays", "cases.bin", 3, [], {}]
)
def test_an_index_cannot_name_other_files(folder: Path, name: Any):
    rewrite_index(folder, lambda entry: entry | {"arrays": name})
    message = refusal(verified, folder)
    assert f"arrays {name!r}, expected 'arrays/000002.npz'" in message


@pytest.mark.parametrize("name", ["../secret", "{folder}/secret"])
def test_files_that_only_the_manifest_names_are_not_read(folder: Path, name: str):
    secret = folder.parent / "secret"
    os.mkfifo(secret)  # whoever reads it is stuck
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["sha256"][name.format(folder=folder.parent)] = "0"
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    verified(folder)


def packed(folder: Path, array: bytes) -> None:
    shutil.rmtree(folder / "outputs")
    with zipfile.ZipFile(folder / "outputs.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.npy", array)


def npy(shape: tuple[int, ...], descr: str = "<f4", data: bytes = b"") -> bytes:
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


HEADERS = {
    "a bomb": npy((2**26,), data=bytes(2**28)),
    "more values than memory": npy((2**40,)),
    "sizes that overflow": npy((2**62, 2**62)),
    "no values, but of a size": npy((2**62, 0)),
    "a size below zero": npy((-1, -1)),
    "large values": npy((2,), "|V2147483647"),
    "objects": npy((2,), "|O"),
    "values without a size": npy((2,), "|V0"),
    "too few bytes": npy((2, 4, 3, 3), data=bytes(99)),
    "a long header": b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little") + b"{}",
    "a header of brackets": b"\x93NUMPY\x01\x00" + (900).to_bytes(2, "little") + b"(" * 900,
    "a header of signs": b"\x93NUMPY\x01\x00" + (900).to_bytes(2, "little") + b"-" * 899 + b"1",
    "a version that is none": b"\x93NUMPY\x09\x00" + bytes(100),
}


@pytest.mark.parametrize("what", HEADERS)
def test_an_array_is_not_believed_beyond_its_case(folder: Path, what: str):
    if len(HEADERS[what]) < 2**20:
        (folder / "outputs/000000.npy").write_bytes(HEADERS[what])
        assert "outputs/000000.npy: expected one" in refusal(verified, folder)
    packed(folder, HEADERS[what])
    assert "outputs.npz: expected an archive" in refusal(verified, folder)


@pytest.mark.parametrize(("at", "value"), [(8, 1), (10, 99)])
def test_an_archive_that_cannot_be_unpacked_is_refused(folder: Path, at: int, value: int):
    """One that is encrypted, one of an unknown method."""
    packed(folder, npy((3,), data=bytes(12)))
    data = bytearray((folder / "outputs.npz").read_bytes())
    directory = data.rfind(b"PK\x01\x02")
    data[directory + at] = data[at - 2] = value
    (folder / "outputs.npz").write_bytes(data)
    assert "outputs.npz: expected an archive" in refusal(verified, folder)


@pytest.mark.parametrize("name", ["9" * 60_000, "9" * 10, "x\ny", ""])
def test_a_name_that_is_no_id_is_refused(folder: Path, name: str):
    shutil.rmtree(folder / "outputs")
    with zipfile.ZipFile(folder / "outputs.npz", "w") as archive:
        archive.writestr(f"{name}.npy", npy((3,), data=bytes(12)))
    assert "expected the id of a case" in refusal(verified, folder)


# Anything -----------------------------------------------------------------------------------------

PIECES = [
    b"", b"\0", b"\xff", b"\n", b'"', b"'", b'"""', b"\\", b"[", b"]", b"{", b"}", b"=", b".", b",",
    b"-", b"+", b"#", b"x", b"1", b"0x", b"9" * 30, b"1e999", b"nan", b"true", b"null", b"\\ud800",
    b"\xe2\x80\xa8", b"[" * 2000, b"-" * 600, b"a." * 30, b"in", b"../", b"PK\x03\x04",
    (2**62).to_bytes(8, "little"), (-1).to_bytes(8, "little", signed=True),
]  # fmt: skip


@st.composite
def spoilt(draw: Callable[[Any], Any], content: bytes) -> bytes:
    """`content` with up to three places replaced."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = start + draw(st.sampled_from([0, 1, 2, 8, 40, len(content)]))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=4))
        content = content[:start] + piece + content[end:]
    return content


def attempt(reader: Callable[[Path], Any], path: Path) -> None:
    """Read it, or be refused in one sentence; anything else is an error."""
    said = ""
    try:
        reader(path)
    except UsageError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1
    assert len(said) < 1500


RESULTS = json.dumps(
    samples.report(samples.conforming("a"), samples.failing(), witness=None).to_json()
).encode()
OF_CASES = "+".join(
    (
        "in2x8x9x3-f16-k3x2-s2-same-g1-a.relu-nobias-float16-integers.7",
        "in1x4x4x2-f3-k3-d1,2-cf-view.sliced-kernel.oihw-bias.reversed-normal.6",
        "in1x4x4x2-f2-k3-but.channels_uneven-g2-integers.0",
    )
).encode()


@settings(max_examples=150)
@given(data=st.data())
def test_a_spoilt_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    reader, content = data.draw(st.sampled_from([(read, RESULTS), (load, XFAIL.encode())]))
    path = tmp_path_factory.mktemp("spoilt") / "given"
    path.write_bytes(data.draw(spoilt(content)))
    attempt(reader, path)


@settings(max_examples=200)
@given(content=spoilt(OF_CASES))
def test_a_spoilt_case_string_is_read_or_refused(content: bytes):
    cases, said = (), ""
    try:
        cases = parse_sequence(content.decode("utf-8", "surrogateescape"))
    except CaseError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1
    assert said or parse_sequence("+".join(map(str, cases))) == cases


def filled(folder: Path, form: str) -> None:
    """Put answers into a folder in one of the three forms."""
    given = answers(CASES)
    shutil.rmtree(folder / "outputs")
    match form:
        case "outputs.bin":
            records = [answer_record(number, array) for number, array in given.items()]
            (folder / form).write_bytes(b"".join(records))
        case "outputs.npz":
            np.savez(folder / form, **{str(number): array for number, array in given.items()})
        case _:
            (folder / "outputs").mkdir()
            np.save(folder / form, given[1])


def answer_record(number: int, array: Any) -> bytes:
    body = array.tobytes() + bytes(-array.nbytes % 8)
    fields = np.array([80 + len(body), number, 0, 1, *array.shape, 0], "<i8")
    return b"C2DANSW1" + fields.tobytes() + body


FORMS = ("outputs.bin", "outputs.npz", "outputs/000001.npy")
WORDS = st.sampled_from(PIECES).map(lambda piece: piece.decode("latin-1")) | st.sampled_from(
    ["in1x3x3x1-f1-k2-integers.0", "in1x3x3x2-f2-k2-g2-but.channels_uneven-integers.0"]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.just([]) | st.just({})


@settings(max_examples=80)
@given(data=st.data())
def test_a_spoilt_folder_of_vectors_is_read_or_refused(
    exported: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    folder = tmp_path_factory.mktemp("spoilt") / "v"
    shutil.copytree(exported, folder)
    form = data.draw(st.sampled_from(FORMS))
    filled(folder, form)
    verified(folder)
    name = data.draw(st.sampled_from([*OF_VECTORS[:5], form]))
    content = (folder / name).read_bytes()
    if name.startswith(("manifest", "cases.jsonl")) and data.draw(st.booleans()):
        *lines, last = [content] if name.startswith("manifest") else content.splitlines()
        entry = json.loads(last)
        inner = data.draw(
            st.sampled_from([entry, *(v for v in entry.values() if v and type(v) is dict)])
        )
        inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(VALUES)
        content = b"\n".join([*lines, json.dumps(entry).encode()])
    else:
        content = data.draw(spoilt(content))
    (folder / name).write_bytes(content)
    if name != "manifest.json" and data.draw(st.booleans()):
        mend_sums(folder)
    attempt(verified, folder)


def test_what_is_refused_is_refused_by_the_command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from conformance import cli

    (folder / "cases.bin").unlink()
    os.mkfifo(folder / "cases.bin")
    monkeypatch.setattr("sys.argv", ["conv2d-conformance", "vectors", "verify", str(folder)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"conv2d-conformance: cannot read .*cases\.bin: not a regular file\n", said)
