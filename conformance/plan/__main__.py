"""``python -m conformance.plan``: make the table of the design again; takes about two minutes."""

from pathlib import Path

from conformance.plan import design, making

making.write(Path(design.__file__).with_name(design.TABLE))
