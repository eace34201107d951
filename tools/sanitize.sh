#!/usr/bin/env bash
# Run the tests of the compiled loop under AddressSanitizer and UndefinedBehaviorSanitizer.
#
# Usage: tools/sanitize.sh FOLDER [pytest options]
#
# The package is copied to FOLDER and its extension compiled there, so no other build is touched.
# setup.py is left out: its flags would come last and undo -O1 and -g.
# Needs gcc (CC and PYTHON name others), bash, Cython, ml_dtypes, NumPy, Hypothesis and pytest.
set -euo pipefail

cd "$(dirname "$0")/.."
python=${PYTHON:-python}
compiler=${CC:-gcc}
folder=$(realpath -m "$1")
shift

rm -rf "$folder/reference_impl"
mkdir -p "$folder"
cp -R reference_impl "$folder"
rm -rf "$folder"/reference_impl/{build,__pycache__,_kernel.c,_kernel*.so}

read -r include suffix < <(
  "$python" -c 'from sysconfig import *; print(get_path("include"), get_config_var("EXT_SUFFIX"))'
)
"$python" -m cython -3 "$folder/reference_impl/_kernel.pyx"
CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined -O1 -g"
# shellcheck disable=SC2086  # the flags are words
"$compiler" $CFLAGS -fno-omit-frame-pointer -ffp-contract=fast -Wno-psabi -fPIC -shared \
  "-I$include" "$folder/reference_impl/_kernel.c" -o "$folder/reference_impl/_kernel$suffix" -lm

# Those of the tests that exist, on the copy: -P keeps the folder of the sources off the path, and
# the ini file is left out because it is for the plugin of the suite, which is not installed here.
tests=()
for name in convolution geometry certificate gradients; do
  path=tests/reference_impl/test_$name.py
  if [[ -e $path ]]; then tests+=("$path"); fi
done
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc
export HYPOTHESIS_STORAGE_DIRECTORY=$folder/hypothesis PYTHONPATH=$folder:tests/reference_impl PYTHONDONTWRITEBYTECODE=1
LD_PRELOAD=$("$compiler" -print-file-name=libasan.so) "$python" -P - "$folder" <<'CHECK'
import sys

from reference_impl import _kernel

assert _kernel.__file__.startswith(sys.argv[1]), _kernel.__file__
assert "libasan" in open("/proc/self/maps").read(), "the sanitizer is not loaded"
print("sanitized:", _kernel.__file__, _kernel.active_path())
CHECK
LD_PRELOAD=$("$compiler" -print-file-name=libasan.so) "$python" -P -m pytest -c /dev/null \
  --rootdir=. --import-mode=importlib --capture=sys -p no:cacheprovider -W error "${tests[@]}" "$@"
