"""``python -m conformance`` is ``conv2d-conformance``."""

from conformance.cli import main

if __name__ == "__main__":
    main()
