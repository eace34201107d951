"""Errors that are those of a fast algorithm: no fault, if the implementation declares it."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.capabilities import FAST_ERRORS


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """What would be correct if it were declared.

    Attributes:
        name: short, stable name.
        sentence: what a convolution of which this is true does.
        covers: faults of the table that show themselves so.
    """

    name: str
    sentence: str
    covers: tuple[str, ...] = ()

    @property
    def explanation(self) -> str:
        """What it does, in one sentence."""
        return f"It {self.sentence}."


MEANT: dict[str, Meant] = {
    FAST_ERRORS: Meant(
        name=FAST_ERRORS,
        sentence="is only as accurate as a fast algorithm, Winograd's or by Fourier transforms",
        covers=("fft_in_float32",),
    )
}
