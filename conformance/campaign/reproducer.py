"""A script to paste: the failing case in plain NumPy and the implementation, without this suite."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.data import arrays
from conformance.implementations.info import Info
from conformance.results import Evidence

MOST_LITERALS = 600


def script(cases: tuple[Case, ...], info: Info, evidence: Evidence | None, check: str) -> str:
    """Python source that runs `cases` on `info` and prints what the check looked at."""
    lines = ["import numpy as np"]
    if any(case.compute_dtype == "bfloat16" for case in cases):
        lines.append("import ml_dtypes")
    lines += [*info.reproducer.imports, ""]
    if sum(_numbers(case) for case in cases) > MOST_LITERALS:
        lines += ["from conformance.case import Case", "from conformance.data import arrays", ""]
    for case in cases:
        lines += [f"# {case}", *_values(case, len(cases)), *_call(case, info)]
        lines += ["print(result.shape, result.dtype)", ""]
    if evidence is not None and evidence.element is not None:
        lines += [
            f'print("exact:", {evidence.exact or evidence.reference_value!s}, '
            f'"got:", result[{", ".join(map(str, evidence.element))}])'
        ]
    else:
        lines += [f"# check {check}: see `conformance.checks`", "print(result)"]
    return "\n".join(lines) + "\n"


def _values(case: Case, total: int) -> list[str]:
    if _numbers(case) > MOST_LITERALS // total:
        return [
            f"data = arrays(Case.parse({str(case)!r}))",
            "x, kernel, bias = data.x, data.kernel, data.bias",
        ]
    data = arrays(case)
    return [
        f"x = {_literal(np.ascontiguousarray(data.x))}",
        f"kernel = {_literal(data.kernel)}",
        f"bias = {'None' if data.bias is None else _literal(data.bias)}",
    ]


def _call(case: Case, info: Info) -> list[str]:
    made_by = info.reproducer.made_by
    if info.kind == "function":
        arguments = ", ".join(f"{k}={v!r}" for k, v in case.function_arguments().items())
        return [f"result = np.asarray({made_by}(x, kernel, bias, {arguments}))"]
    arguments = ", ".join(f"{k}={v!r}" for k, v in case.layer_arguments().items())
    weights = "[kernel, bias]" if case.has_bias else "[kernel]"
    return [
        f"layer = {made_by}({arguments})",
        "layer.build(x.shape)",
        f"layer.set_weights({weights})",
        f"result = np.asarray({info.reproducer.called}(x))",
    ]


def _numbers(case: Case) -> int:
    return int(np.prod(case.input_shape)) + int(np.prod(case.kernel_shape)) + case.filters


def _literal(values: NDArray[Any]) -> str:
    numbers = ", ".join(_number(float(v)) for v in values.ravel())
    dtype = "ml_dtypes.bfloat16" if values.dtype.name == "bfloat16" else f'"{values.dtype.name}"'
    shape = "" if values.ndim == 1 else f".reshape({values.shape})"
    return f"np.array([{numbers}], {dtype}){shape}"


def _number(value: float) -> str:
    if not np.isfinite(value):
        return f'float("{value}")'
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
