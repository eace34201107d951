"""What one round of all variations costs on Keras: processor time of observing and of judging.

Each round runs in a fresh process, as an observer and a judge would, with cases of its own seed.
Imports, setting up and drawing the cases are left out. Run it with ``tox run -e bench``, or alone
with ``python benchmarks/variations.py``; ``--rows 20`` also prints the costliest rows.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

SHIPPED = "keras-tensorflow"


def measured(name: str, seed: int) -> dict[str, Any]:
    """Seconds of processor time of one round, and those of each row."""
    from conformance.checks import Trial, calls_for, judge, question_for
    from conformance.observing.observe import observe
    from conformance.plan import Asked
    from conformance.plan.varied import varied_cases
    from conformance.targets import Target, resolve

    implementation = resolve(Target(name))
    implementation.setup()
    gc.collect()
    gc.freeze()  # as an observer does
    info = implementation.info()
    rows = []
    for case in list(varied_cases(seed, Asked.of(info))):
        trial = Trial(case, info)
        question = question_for(trial, calls_for(trial))
        began = time.process_time()
        observation = observe(implementation, question)
        observed = time.process_time()
        trial.observed(calls_for(trial), observation)
        judge(trial)
        rows.append((observed - began, time.process_time() - observed, str(case)))
    return {
        "observing": sum(row[0] for row in rows),
        "judging": sum(row[1] for row in rows),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--impl", default=SHIPPED, help=f"default: {SHIPPED}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0, help="costliest rows of each round to print")
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)  # of one round, here
    options = parser.parse_args()
    if options.seed is not None:
        print(json.dumps(measured(options.impl, options.seed)))
        return
    totals = []
    for seed in range(options.rounds):
        shown = subprocess.run(
            [sys.executable, __file__, "--impl", options.impl, "--seed", str(seed)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        found = json.loads(shown.stdout.splitlines()[-1])
        totals.append(found["observing"] + found["judging"])
        print(
            f"seed {seed}: {len(found['rows'])} variations in {totals[-1]:.2f} s, observing "
            f"{found['observing']:.2f} s, judging {found['judging']:.2f} s",
            flush=True,
        )
        for observing, judging, case in sorted(found["rows"], reverse=True)[: options.rows]:
            print(f"  {observing:.3f} s, judging {judging:.3f} s: {case}")
    print(f"median of {options.rounds} rounds: {statistics.median(totals):.2f} s")


if __name__ == "__main__":
    main()
