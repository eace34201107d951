"""A script for each finding: it fails today and passes once the implementation is fixed.

It holds the arrays, makes the calls, and ends in an assertion; its exit code is 1 or 0, or 125
where what is measured cannot be imported, as ``git bisect run`` wants it. It needs this suite only
where what is measured does, or where the arrays are too large to be written down.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.calls import Call, Kind
from conformance.case import Case, format_sequence
from conformance.checks import CHECKS, Trial, calls_for
from conformance.checks.claims import (
    claimed_capability,
    expected_of_function,
    upstream_gradient,
)
from conformance.checks.shapes import allowed_shapes
from conformance.criteria import Expected
from conformance.implementations.info import Info
from conformance.printable import in_a_line
from conformance.processes.worker import STRAY
from conformance.refusals import REFUSALS
from conformance.reproducers.life_causes import lines_of
from conformance.reproducers.life_script import LifeScript
from conformance.reproducers.literals import Literals
from conformance.results import Evidence, Status
from conformance.special import Sort
from reference_impl import bias_gradient, input_gradient, kernel_gradient
from reference_impl.dtypes import as_dtype

UNTESTED = 125  # the exit code by which git bisect skips a commit
GIVEN_TIME = 20  # seconds, after which a call does not return
_MADE = (Kind.OUTPUT, Kind.OTHER, Kind.AGAIN, Kind.SAMPLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a script is to show.

    Attributes:
        cases: the smallest failing case, after those that it takes.
        check, status, message: as in `Finding`.
        cause: as in `Outcome`.
        evidence: what is known of the worst element.
        exits: whether the call raises what would end a script with another exit code.
        doubtful: whether it was not reproduced in a process of its own.
        untried: whether it was seen once only, while others depend on earlier calls.
        by_chance: whether it reads memory that is not its own.
    """

    cases: tuple[Case, ...]
    check: str
    status: Status
    message: str = ""
    cause: str = ""
    evidence: Evidence | None = None
    exits: bool = False
    doubtful: bool = False
    untried: bool = False
    by_chance: bool = False


def script(shown: Shown, info: Info) -> str:
    """Python source that shows `shown` on `info`; by a replay where no other can be written."""
    try:
        body = _body(shown, info)
    except Exception as error:  # noqa: BLE001 - it costs this script, not the report
        trouble = in_a_line(f"{type(error).__name__}: {error}")
        body = (
            f"# It is replayed, for a script of its own met {trouble}.\n{_by_replay(shown, info)}"
        )
    lost = shown.status in (Status.CRASHED, Status.TIMED_OUT)
    source = _in_a_process(body, shown) if lost else body
    return _heading(shown, info) + source


def _body(shown: Shown, info: Info) -> str:
    written = _Script(shown, info)
    body = written.body()
    if _clashes(body, info.reproducer.made_by):
        written = _Script(shown, _renamed(info))
        body = written.body()
    return _by_replay(shown, info) if written.literals.too_large else body


def _clashes(body: str, made_by: str) -> bool:
    """Whether a script gives the name of what is measured to something of its own."""
    own = {
        getattr(node, "id", "") or getattr(node, "name", "") or getattr(node, "arg", "")
        for node in ast.walk(ast.parse(body))
        if isinstance(node, ast.FunctionDef | ast.arg)
        or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    }
    return made_by.partition(".")[0] in own - {"implementation"}


def _renamed(info: Info) -> Info:
    """What is measured under another name in the script."""
    made = info.reproducer
    first, dot, rest = made.made_by.partition(".")
    defines = (*made.defines, f"measured = {first}")
    return replace(info, reproducer=replace(made, defines=defines, made_by=f"measured{dot}{rest}"))


def _heading(shown: Shown, info: Info) -> str:
    """Who fails what, as comments; foreign text cannot leave them."""
    who = f"{info.name} {info.version}".strip()
    said = [f"{who}: {shown.check}", shown.message, f"case {format_sequence(shown.cases)}"]
    lines = [f"# {in_a_line(text)}" for text in said if text]
    return "\n".join([*lines, f"# {_promise(shown, info)}", ""])


def _promise(shown: Shown, info: Info) -> str:
    """What the exit code says."""
    if shown.by_chance:
        return "It reads memory that is not its own, so this may end with exit code 0."
    if shown.untried:
        return "It was not tried in a fresh process, so this may end with exit code 0."
    if shown.doubtful:
        return "It was not reproduced in a fresh process, so this may end with exit code 0."
    imports = ", 125 if it cannot be imported" if info.reproducer.imports else ""
    return f"Exit code 1 as long as it fails, 0 once it is fixed{imports}."


def _in_a_process(body: str, shown: Shown) -> str:
    """What ends its process or never returns, in a process of its own."""
    if shown.message.startswith("takes more than"):
        body = _LESS_MEMORY + body
    quoted = f"r'''\n{body}'''" if "'''" not in body else repr(body)
    return _PROCESS.format(body=quoted, seconds=GIVEN_TIME, untested=UNTESTED)


def imported(lines: Sequence[str]) -> list[str]:
    """Lines that import what is measured, or end the script as one that cannot be tested."""
    if not lines:
        return []
    return [
        "import sys",
        "",
        "try:",
        *(f"    {line}" if line else "" for line in lines),
        "except ImportError as error:",
        '    print(f"It cannot be tested, for it cannot be imported: {error}", file=sys.stderr)',
        f"    sys.exit({UNTESTED})",
    ]


_PROCESS = """\
import subprocess
import sys

CALL = {body}
try:
    code = subprocess.run([sys.executable, "-c", CALL], timeout={seconds}).returncode
except subprocess.TimeoutExpired:
    sys.exit("does not return within {seconds} s")
if code == {untested}:  # it cannot be imported
    sys.exit(code)
assert code == 0, f"the process ends with exit code {{code}}"
"""

_LESS_MEMORY = """\
import resource

# The call may take 2 GiB.
_, most = resource.getrlimit(resource.RLIMIT_DATA)
resource.setrlimit(resource.RLIMIT_DATA, (4 * 2**30, most))

"""


def _by_replay(shown: Shown, info: Info) -> str:
    """The arrays are too large for a script: the suite makes them again."""
    lines = [*imported(info.reproducer.imports), *_replayed(shown, info), ""]
    return "\n".join(lines)


def _replayed(shown: Shown, info: Info) -> list[str]:
    words = ["-m", "conformance", "replay", format_sequence(shown.cases), "--impl", info.name]
    if shown.check != claimed_capability.name:  # which is made where a run begins
        words += ["--check", shown.check, "--no-xfail"]
    return [
        "import subprocess",
        "import sys",
        "",
        f"words = {words!r}",
        "assert subprocess.run([sys.executable, *words]).returncode == 0",
    ]


@dataclass(slots=True)
class _Script:
    """The lines of a script while they are written."""

    shown: Shown
    info: Info
    literals: Literals = field(default_factory=Literals)
    expression: str = ""  # the call of x

    def body(self) -> str:
        *before, last = self.shown.cases
        if any(case.asks == "life" for case in before):
            return _by_replay(self.shown, self.info)
        lines: list[str] = []
        previous = None
        for case in before:
            lines += [*self._given(case, previous), *self._calls(case, ()), ""]
            previous = case
        if last.asks == "life":
            lines += self._lived(last)
        else:
            lines += [*self._given(last, previous), *self._judged(last)]
        made = self.info.reproducer
        head = [*self.literals.imports, *imported(made.imports), *made.defines, ""]
        helpers = [line for helper in self.literals.helpers for line in ("", helper)]
        return "\n".join([*head, *helpers, *lines, ""])

    # What is called ------------------------------------------------------------------------------

    def _given(self, case: Case, previous: Case | None) -> list[str]:
        """The arrays of a case, and `expression`: a function where it is called often."""
        data, made = Trial(case, self.info).data, self.info.reproducer
        kernel, bias = data.kernel, data.bias
        if self.info.kind == "layer" and made.made_by:
            dtype = as_dtype(case.variable_dtype)
            kernel = np.array(kernel.astype(dtype), order="C")
            bias = None if bias is None else np.array(bias.astype(dtype), order="C")
        lines = [
            f"# {case}",
            f"x = {self.literals.placed(data.x)}",
            f"kernel = {self.literals.placed(kernel)}",
            f"bias = {'None' if bias is None else self.literals.placed(bias)}",
        ]
        if not made.made_by:
            lines.append(
                f"prepared = implementation.prepare(Case.parse({str(case)!r}), "
                f"arrays(Case.parse({str(case)!r})))"
            )
            return [*lines, *self._defined("prepared.call(x)", case)]
        if self.info.kind == "function":
            return [
                *lines,
                *self._defined(f"{made.made_by}(x, kernel, bias, {_words(case)})", case),
            ]
        weights = "[kernel, bias]" if bias is not None else "[kernel]"
        if previous is None or previous.layer_key() != case.layer_key():
            arguments = ", ".join(f"{k}={v!r}" for k, v in case.layer_arguments().items())
            lines += [f"layer = {made.made_by}({arguments})", "layer.build(x.shape)"]
        lines.append(f"layer.set_weights({weights})")
        return [*lines, *self._defined(f"{made.called}(x)", case)]

    def _defined(self, expression: str, case: Case) -> list[str]:
        self.expression = expression
        if case is self.shown.cases[-1] and self.shown.check not in _OFTEN:
            return []
        self.expression = "call(x)"
        return ["", "", "def call(x):", f"    return {expression}", "", ""]

    def _calls(self, case: Case, named: Sequence[Call], until: int | None = None) -> list[str]:
        """The calls that the suite makes, in its order, up to number `until`."""
        lines = []
        for call in calls_for(Trial(case, self.info))[:until]:
            if call.kind not in _MADE:
                continue
            x = {Kind.OTHER: "np.negative(x)"}.get(call.kind, "x")
            if call.kind is Kind.SAMPLE:
                x = f"x[{call.of[0]} : {call.of[0]} + 1]"
            called = f"call({x})"
            lines.append(f"{_name(call)} = {called}" if call in named else called)
        return lines

    def _array(self, name: str) -> str:
        return f"{self.info.reproducer.array}({name})"

    # What is asserted ----------------------------------------------------------------------------

    def _judged(self, case: Case) -> list[str]:
        trial = Trial(case, self.info)
        check = self.shown.check
        if check in _WAYS:
            return _WAYS[check](self, trial)
        lines = self._called(f"returned = {self.expression}")
        lines += self._shaped(trial)
        if self.shown.message == STRAY:
            return [*_LISTENING, *lines, *_NOTHING_HEARD]
        if self.shown.status in (Status.CRASHED, Status.TIMED_OUT) or check == "output_shape":
            return lines
        lines += self._typed(trial)
        if check == "output_dtype":
            return lines
        return [*lines, *self._valued(trial, trial.expected)]

    def _lived(self, case: Case) -> list[str]:
        """The life of a layer; replayed where a script cannot show it."""
        made = self.info.reproducer
        shown, lines = self.shown, []
        if made.made_by and made.called == "layer" and not shown.exits:
            script = LifeScript(Trial(case, self.info), made, self.literals)
            lines = lines_of(script, shown.check, shown.cause, shown.message)
        return lines or _replayed(shown, self.info)

    def _called(self, line: str) -> list[str]:
        """A call, which may not end the script with an exit code of its own."""
        if not self.shown.exits:
            return [line]
        return [
            "try:",
            f"    {line}",
            "except BaseException as error:",
            '    raise AssertionError(f"it raises {type(error).__name__}") from error',
        ]

    def _shaped(self, trial: Trial) -> list[str]:
        shape = trial.case.geometry.output_shape
        return [
            'assert hasattr(returned, "__array__"), f"it returns {type(returned).__name__}"',
            'assert not isinstance(returned, np.ma.MaskedArray), "it returns a masked array"',
            f"result = {self._array('returned')}",
            f'assert result.shape == {shape}, f"expected shape {shape}, got {{result.shape}}"',
        ]

    def _typed(self, trial: Trial) -> list[str]:
        dtype = trial.case.compute_dtype
        return [f'assert result.dtype.name == "{dtype}" and result.dtype.isnative, result.dtype']

    def _valued(self, trial: Trial, want: Expected) -> list[str]:
        """The result is within its bound of the expected value everywhere."""
        special = trial.special if trial.case.data == "special" else None
        value, bound = want.value.copy(), want.bound
        lines = []
        if special is not None:
            for sort, number in _SORTS.items():
                value[special.sort == sort] = number
        lines.append(f"want = {self.literals.values(value)}")
        comparison = "got == want"
        if want.exact and not bound.any():
            pass  # only the exact result is correct
        else:
            lines += [
                "# The largest error that rounding can make of a correct result.",
                f"bound = {self._bound(bound)}",
            ]
            comparison += ") | (np.abs(got - want) <= bound"
        lines.append(f"got = {_as_float('result')}")
        if special is not None:
            comparison += ") | (np.isnan(got) & np.isnan(want)"
            unread = special.sort == Sort.OPEN
            infinite = (special.sort == Sort.PLUS) | (special.sort == Sort.MINUS)
            if unread.any():
                lines.append(f"open_ = {self.literals.values(unread)}  # may be anything")
                comparison += ") | (open_"
            if (infinite & want.overflow).any():
                lines.append(f"loose = {self.literals.values(infinite & want.overflow)}")
                comparison += ") | (loose & np.isnan(got)"
        overflow = want.overflow
        if special is not None:
            overflow = overflow & (special.sort == Sort.FINITE)
        if overflow.any():
            lines += [
                "# An intermediate result may leave the range of the dtype here.",
                f"overflow = {self.literals.values(overflow)}",
            ]
            comparison += ") | (overflow & ~np.isfinite(got)"
        exact = self.shown.evidence.exact if self.shown.evidence else ""
        element = self.shown.evidence.element if self.shown.evidence else None
        if exact and element is not None:
            lines.append(f"# In exact rational arithmetic, element {list(element)} is {exact}.")
        return [
            *lines,
            'with np.errstate(invalid="ignore"):',
            f"    wrong = np.argwhere(~(({comparison})))",
            "for index in map(tuple, wrong[:5].tolist()):",
            '    print(f"element {index}: expected {want[index]}, got {got[index]}")',
            'assert not len(wrong), f"{len(wrong)} of {got.size} elements are wrong"',
        ]

    def _bound(self, bound: NDArray[Any]) -> str:
        same = bound.size and (bound == bound.flat[0]).all()
        return repr(float(bound.flat[0])) if same else self.literals.values(bound)

    def _answers(self, trial: Trial) -> tuple[list[str], list[str]]:
        """The calls of a check that reads several, and the names of what they return."""
        read = CHECKS[self.shown.check].observes(trial)
        every = calls_for(trial)
        until = max(every.index(call) for call in read) + 1
        named = [call for call in read if call.kind in _MADE]
        return self._calls(trial.case, named, until), [_name(call) for call in named]

    def own_memory(self, trial: Trial) -> list[str]:
        return [
            "returned = call(x)",
            f"kept = np.array({self._array('returned')})",
            "call(np.negative(x))",
            f"still = {self._array('returned')}",
            "for given in (x, kernel, bias):",
            "    shared = given is not None and np.may_share_memory(still, given)",
            '    assert not shared, "the result shares memory with what was given"',
            'assert still.tobytes() == kept.tobytes(), "the next call changes an earlier result"',
        ]

    def repeated_call(self, trial: Trial) -> list[str]:
        lines, (first, *_, again) = self._answers(trial)
        # The first result is copied before the next call, which may write over it.
        lines = [f"{line}" for line in lines]
        lines[0] = f"{first} = np.array({self._array('call(x)')})"
        return [
            *lines,
            f"first, again = {_as_float(first)}, {_as_float(self._array(again))}",
            "same = (first == again) & (np.signbit(first) == np.signbit(again))",
            "same |= np.isnan(first) & np.isnan(again)",
            'assert same.all(), f"{(~same).sum()} of {same.size} elements differ"',
        ]

    def batch_independence(self, trial: Trial) -> list[str]:
        lines, (first, *samples) = self._answers(trial)
        lines[0] = f"{first} = np.array({self._array('call(x)')})"
        for call in samples:
            index = call.removeprefix("sample_")
            whole = f"{first}[{index} : {index} + 1]"
            lines += [
                f"whole, alone = {_as_float(whole)}, {_as_float(self._array(call))}",
                "same = np.array_equal(whole, alone, equal_nan=True)",
                f'assert same, "sample {index} differs from the same sample alone"',
            ]
        return lines

    def unchanged_inputs(self, trial: Trial) -> list[str]:
        layer = self.info.kind == "layer" and bool(self.info.reproducer.made_by)
        held = "layer.get_weights()" if layer else "[w for w in (kernel, bias) if w is not None]"
        return [
            "memory = x if x.base is None else x.base",
            f"before = memory.tobytes(), [np.array(w).tobytes() for w in {held}]",
            *self._calls(trial.case, ()),
            f"after = memory.tobytes(), [np.array(w).tobytes() for w in {held}]",
            'assert before[0] == after[0], "the call changes its input, or memory around it"',
            'assert before[1] == after[1], "the call changes the weights"',
            *self._dtype_of_weights(trial),
        ]

    def _dtype_of_weights(self, trial: Trial) -> list[str]:
        if self.info.kind != "layer" or not self.info.reproducer.made_by:
            return []
        wanted = trial.case.variable_dtype
        return [
            "dtypes = {np.asarray(w).dtype.name for w in layer.get_weights()}",
            f'assert dtypes == {{"{wanted}"}}, f"the weights are {{dtypes}}"',
        ]

    def compute_output_shape(self, trial: Trial) -> list[str]:
        lines = []
        for call in CHECKS["compute_output_shape"].observes(trial):
            allowed = allowed_shapes(trial.case, call.of)
            lines += [
                f"shape = layer.compute_output_shape({call.of})",
                f'assert tuple(shape) in {allowed}, f"expected {allowed[0]}, got {{shape}}"',
            ]
        return lines

    def function_values(self, trial: Trial) -> list[str]:
        want = expected_of_function(trial)
        return [
            f"returned = implementation.conv2d(x, kernel, bias, {_words(trial.case)})",
            *self._shaped(trial),
            *self._typed(trial),
            *self._valued(trial, want),
        ]

    def gradient_values(self, trial: Trial) -> list[str]:
        case, data = trial.case, trial.data
        dtype, arguments = as_dtype(case.compute_dtype), case.function_arguments()
        upstream = upstream_gradient(trial)
        x, kernel, bias = (
            None if a is None else a.astype(np.float64) for a in (data.x, data.kernel, data.bias)
        )
        assert x is not None
        assert kernel is not None
        wanted: list[NDArray[Any]] = [
            input_gradient(upstream, kernel, x.shape, **arguments),
            kernel_gradient(upstream, x, case.geometry.kernel_size, **arguments),
        ]
        if bias is not None:
            wanted.append(bias_gradient(upstream, data_format=case.geometry.data_format))
        room = "0" if self.info.declared.algorithm == "direct" else "np.nextafter(0.5, 0)"
        lines = [
            f"upstream = {self.literals.values(upstream.astype(dtype))}",
            f"found = implementation.gradients(x, kernel, bias, upstream, {_words(case)})",
            'assert isinstance(found, (tuple, list)) and len(found) == 3, "not three gradients"',
        ]
        for n, (name, want) in enumerate(zip(("input", "kernel", "bias"), wanted, strict=False)):
            lines += [
                f'assert found[{n}] is not None, "no gradient of the {name}"',
                f"got = {self._array(f'found[{n}]')}",
                f"want = {self.literals.values(want)}",
                f'assert got.shape == want.shape and got.dtype.name == "{dtype.name}"',
                f"wrong = ~(np.abs({_as_float('got')} - want) <= {room})",
                f'assert not wrong.any(), f"the gradient of the {name} is wrong: {{got}}"',
            ]
        return lines

    def refused_call(self, trial: Trial) -> list[str]:
        words = REFUSALS[trial.case.but or ""].words
        return [
            "try:",
            f"    size = {self._array('call(x)')}.size",
            "except Exception:",
            "    size = 0  # it refuses, as it has to",
            f'assert size == 0, "it computes something for {words}"',
        ]

    def claimed_capability(self, trial: Trial) -> list[str]:
        """It claims what the case needs, so the call returns what it should."""
        lines = [
            *self._called(f"returned = {self.expression}"),
            *self._shaped(trial),
            *self._typed(trial),
        ]
        return [*lines, *self._valued(trial, trial.expected)]


# A pipe like that on which an implementation answers the suite.
_LISTENING = [
    "import os",
    "",
    "reading, writing = os.pipe()",
    "os.set_blocking(reading, False)",
]
_NOTHING_HEARD = [
    "try:",
    "    heard = os.read(reading, 100)",
    "except BlockingIOError:",
    '    heard = b""',
    'assert not heard, f"it writes to a file descriptor that is not its own: {heard}"',
]
# Checks that make more than one call.
_OFTEN = frozenset(
    {"own_memory", "repeated_call", "batch_independence", "unchanged_inputs", "refused_call"}
)
_SORTS = {Sort.NAN: np.nan, Sort.PLUS: np.inf, Sort.MINUS: -np.inf}
_WAYS: dict[str, Callable[[_Script, Trial], list[str]]] = {
    way.__name__: way
    for way in (
        _Script.own_memory,
        _Script.repeated_call,
        _Script.batch_independence,
        _Script.unchanged_inputs,
        _Script.compute_output_shape,
        _Script.function_values,
        _Script.gradient_values,
        _Script.refused_call,
        _Script.claimed_capability,
    )
}


def _words(case: Case) -> str:
    """The keyword arguments of a function as source."""
    return ", ".join(f"{k}={v!r}" for k, v in case.function_arguments().items())


def _name(call: Call) -> str:
    suffix = f"_{call.of[0]}" if call.kind is Kind.SAMPLE else ""
    return f"{call.kind}{suffix}"


def _as_float(name: str) -> str:
    return f"{name}.astype(np.float64)"
