"""``python -m conformance`` is ``conv2d-conformance``."""

from __future__ import annotations

import signal
import sys

INTERRUPTED = 130  # exit code; what has a name for it is not imported yet


def main() -> None:
    """Entry point. A signal that comes while modules are imported ends it without a traceback."""
    # A shell's background job inherits an ignored SIGINT; CI cancels with one all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # containers send this one alone
    try:
        from conformance.cli import main as run

        run()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
