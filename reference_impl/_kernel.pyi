from numpy import float64, intp
from numpy.typing import NDArray

LANES: int
TILE_PIXELS: int
PATHS: tuple[str, ...]

def correlate(
    x: NDArray[float64],
    base: NDArray[intp],
    tap: NDArray[intp],
    w: NDArray[float64],
    y: NDArray[float64],
    low: NDArray[float64] | None = None,
    depthwise: bool = False,
    path: int = -1,
) -> None: ...
def active_path() -> str: ...
