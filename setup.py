"""The compiled extension; everything else about the package is in pyproject.toml."""

import sys
import sysconfig

from setuptools import Extension, setup

# One wheel serves every later CPython, except free-threaded ones, which have no stable ABI yet.
STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")
# The reference relies on fused products of exact operands changing no bit, never on fast math.
UNIX_FLAGS = ["-O3", "-g0", "-ffp-contract=fast", "-Wno-psabi"]

setup(
    ext_modules=[
        Extension(
            "reference_impl._kernel",
            ["reference_impl/_kernel.pyx"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if STABLE_ABI else [],
            py_limited_api=STABLE_ABI,
            extra_compile_args=[] if sys.platform == "win32" else UNIX_FLAGS,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {},
)
