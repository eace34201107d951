"""What the suite costs beside Keras alone: CPU of a campaign over CPU of its layers and inputs.

Keras alone builds every layer of the campaign once, with its weights, and calls it once on every
input, converting the result to NumPy. The campaign draws the cases, does the same, computes the
reference, makes every check (some need further calls) and writes the report. Both run in turn in
fresh processes; imports are left out on both sides. The variations of a layer, which have no
counterpart, are measured by themselves. Run it with ``tox run -e bench``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch


def keras_alone(examples: int | None, seed: int) -> dict[str, float]:
    """CPU seconds of Keras on the cases of a campaign, drawing and data not counted."""
    from conformance.adapters.keras_tensorflow import KerasTensorFlow
    from conformance.data import arrays
    from conformance.plan import Asked, plan

    keras = KerasTensorFlow()
    keras.setup()
    asked = Asked(costly_calls=True)
    profile = "default" if examples is None else "night"
    planned = plan(seed, asked, limit=examples, profile=profile)
    cases = [case for one in planned for case in one.example]
    given = [arrays(case) for case in cases]
    began = time.process_time()
    for case, data in zip(cases, given, strict=True):
        try:
            prepared = keras.prepare(case, data)
            keras.to_numpy(prepared.call(data.x))
        except keras.unsupported_errors:
            pass
        except Exception as error:  # noqa: BLE001 - a known fault of Keras raises
            print(f"{case}: {error}", file=sys.stderr)
    return {"cpu": time.process_time() - began, "cases": len(cases)}


def campaign(examples: int | None, seed: int) -> dict[str, float]:
    """CPU seconds of a campaign without variations and its report, imports left out."""
    with patch("conformance.plan.varied_cases", lambda seed, asked: iter(())):
        return _measured(examples=examples, seed=seed)


def variations(examples: int | None, seed: int) -> dict[str, float]:
    """CPU seconds of one round of all variations and its report."""
    from conformance.adapters.keras_tensorflow import KerasTensorFlow
    from conformance.plan import Asked
    from conformance.plan.varied import varied_cases

    asked = Asked(costly_calls=True, contract=True, modes=KerasTensorFlow.modes)
    return _measured(given=tuple((case,) for case in varied_cases(seed, asked)), seed=seed)


def _measured(**settings: Any) -> dict[str, float]:
    from conformance.campaign.run import Settings, run
    from conformance.report import write_all

    began = time.process_time()
    result = run(Settings(jobs=1, **settings))  # as Keras alone
    with tempfile.TemporaryDirectory() as folder:
        write_all(result.report, Path(folder))
    parent = time.process_time() - began
    children = result.cpu["children"] - result.cpu["setup"] + result.cpu["judges"]
    return {
        "cpu": parent + children,
        "parent": parent,
        "cases": result.report.implementations[0].cases,
    }


SIDES = {"keras": keras_alone, "campaign": campaign, "variations": variations}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, help="default: all rows and ladders")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(SIDES[options.side](options.examples, options.seed)))
        return
    ratios = []
    for seed in range(options.rounds):
        costs = {}
        for side in SIDES:
            words = ["--side", side, "--seed", str(seed)]
            if options.examples:
                words += ["--examples", str(options.examples)]
            shown = subprocess.run(
                [sys.executable, __file__, *words],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
            costs[side] = json.loads(shown.stdout.splitlines()[-1])
        ratios.append(costs["campaign"]["cpu"] / costs["keras"]["cpu"])
        print(
            f"seed {seed}: Keras alone {costs['keras']['cpu']:.2f} s, campaign "
            f"{costs['campaign']['cpu']:.2f} s (drawing and report "
            f"{costs['campaign']['parent']:.2f} s), ratio {ratios[-1]:.2f}; "
            f"{costs['variations']['cases']} variations {costs['variations']['cpu']:.2f} s",
            flush=True,
        )
    print(f"median ratio over {options.rounds} seeds: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
