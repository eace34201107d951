"""The processor that an implementation runs on, as conditions and reports name it."""

from __future__ import annotations

import platform

from reference_impl.convolution import active_path

# What engines choose their kernels by, the widest first.
INSTRUCTION_SETS = ("avx512", "avx2", "neon", "other")


def instruction_set() -> str:
    """One of `INSTRUCTION_SETS`: the widest that this processor has, as the reference found it."""
    path = active_path()
    for name in ("avx512", "avx2"):
        if path.startswith(name):
            return name
    return "neon" if platform.machine().lower() in ("aarch64", "arm64") else "other"
