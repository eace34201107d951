"""The compiled extension; everything else about the package is in pyproject.toml."""

import sys

from setuptools import Extension, setup

UNIX_FLAGS = ["-O3", "-g0"]

setup(
    ext_modules=[
        Extension(
            "reference_impl._kernel",
            ["reference_impl/_kernel.pyx"],
            extra_compile_args=[] if sys.platform == "win32" else UNIX_FLAGS,
        )
    ]
)
