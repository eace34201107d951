"""The processor that an implementation runs on, as conditions and reports name it."""

from __future__ import annotations

import platform
from contextlib import suppress
from functools import cache
from pathlib import Path

from reference_impl.convolution import active_path

# What engines choose their kernels by, the widest first.
INSTRUCTION_SETS = ("amx", "avx512", "avx2", "neon", "other")
# A condition on one of these holds on the others, too: these processors have both.
WIDER = {"avx512": ("amx",)}


@cache
def instruction_set() -> str:
    """One of `INSTRUCTION_SETS`: the widest that this processor has.

    The reference knows about AVX-512 and AVX2, the system (Linux) about AMX with bfloat16.
    """
    path = active_path()
    if path.startswith("avx512"):
        return "amx" if _has_amx() else "avx512"
    if path.startswith("avx2"):
        return "avx2"
    return "neon" if platform.machine().lower() in ("aarch64", "arm64") else "other"


def _has_amx() -> bool:
    with suppress(OSError):
        return "amx_bf16" in Path("/proc/cpuinfo").read_text("utf-8").split()
    return False
