"""An implementation that ships with the suite, and what is known of it without its engine."""

from __future__ import annotations

from importlib.util import find_spec

from conformance.implementations.base import Implementation


class Adapter(Implementation):
    """An engine as an implementation; its module imports the engine in `setup` only.

    Attributes:
        summary: what it is, in one sentence.
        requires: the modules that its engine consists of.
        distributions: the packages whose versions the environment of a report lists.
        extra: the extra of this distribution that installs them, or empty.
    """

    summary: str
    requires: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    extra: str = ""

    @classmethod
    def missing(cls) -> list[str]:
        """The required modules that are not installed."""
        return [name for name in cls.requires if find_spec(name) is None]

    @classmethod
    def remedy(cls) -> str:
        """The command that installs what it requires."""
        return f"pip install 'conv2d-conformance[{cls.extra}]'"
