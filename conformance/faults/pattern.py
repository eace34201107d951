"""What wrong results have in common, whatever is behind it."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.capabilities import FAST_ERRORS


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One such thing; `conformance.patterns` finds it.

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


OTHER_SAMPLES = "results_of_other_samples"
PATTERNS: dict[str, Pattern] = {
    row.name: row
    for row in (
        Pattern(
            name=FAST_ERRORS,
            sentence="is only as accurate as a fast algorithm, Winograd's or by Fourier transforms",
            covers=("fft_in_float32",),
        ),
        Pattern(
            name=OTHER_SAMPLES,
            sentence="gives samples the results of other samples of their batch",
            covers=("threads_share_workspace",),
        ),
    )
}
