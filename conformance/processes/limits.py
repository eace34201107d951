"""What a campaign allows: time, memory, and how much may be lost."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from statistics import median

MOST_JOBS = 1000  # two processes each
PACE_CASES = 8  # whose median is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one implementation; seconds and bytes.

    Attributes:
        case: for the calls of one case; a common one takes milliseconds.
        setup: until an implementation is ready.
        least, patience: after a time-out a case gets `patience` times what the slowest one took,
            at least `least`.
        memory: by how much one case may make a process grow.
        growth: by how much a process may have grown until it is restarted.
        watch: how often a process is looked at.
        slow, slower: a process whose cases take longer than this and than so many times what its
            first ones took is restarted.
        lost: where lost cases outnumber the others by so many, the rest is not run.
        lost_at_first: the same until something has been returned.
        second_tries: after so many lost cases that were lost again, and one more for each
            `returns` cases that were not lost, none is tried again.
    """

    case: float = 20.0
    setup: float = 300.0
    least: float = 2.0
    patience: float = 20.0
    memory: int = 2 * 2**30
    growth: int = 2 * 2**30
    watch: float = 0.2
    slow: float = 0.25
    slower: float = 10.0
    lost: int = 10
    lost_at_first: int = 4
    second_tries: int = 3
    returns: int = 100

    def within(self, max_time: float | None) -> Limits:
        """These where everything together may take `max_time`: a case at most a tenth of it."""
        if max_time is None:
            return self
        return replace(self, case=min(self.case, max_time / 10))


@dataclass(slots=True)
class Patience:
    """How long the processes of one implementation wait for a case.

    Attributes:
        limits: what it begins with.
        seconds: for the next case.
        slowest: what the slowest case took that returned.
        returns: cases that returned.
        lost_again: cases that were lost twice.
    """

    limits: Limits
    seconds: float = 0.0
    slowest: float = 0.0
    returns: int = 0
    lost_again: int = 0

    def __post_init__(self) -> None:
        self.seconds = self.limits.case

    def returned(self, seconds: float) -> None:
        """A case took so long."""
        self.returns += 1
        self.slowest = max(self.slowest, seconds)

    @property
    def has_second_try(self) -> bool:
        """Whether a lost case is worth another process.

        A crash may come of what an earlier case has written to memory, so known crashes do not use
        up the second tries of a long run.
        """
        return self.lost_again < self.limits.second_tries + self.returns // self.limits.returns

    def lose(self) -> None:
        """A hang has shown that time is not what it lacks: wait less for the next one.

        Only where something has returned: until then a slow first call is not told from a hang.
        """
        if self.slowest:
            least = max(self.limits.least, self.limits.patience * self.slowest)
            self.seconds = min(self.seconds, least)


@dataclass(slots=True)
class Pace:
    """Whether a process becomes slower and slower, as one with more and more threads does.

    Its last cases are compared with its first ones. A restart that does not help is the last.

    Attributes:
        limits: how much slower it may become.
        restarts: how often a fresh process was faster again.
    """

    limits: Limits
    restarts: int = 0
    _first: list[float] = field(default_factory=list)
    _last: deque[float] = field(default_factory=lambda: deque(maxlen=PACE_CASES))
    _slow: float | None = None
    _hopeless: bool = False

    def returned(self, seconds: float) -> bool:
        """A case took so long; whether the process should be restarted."""
        self._last.append(seconds)
        if len(self._first) < PACE_CASES:
            self._first.append(seconds)
            if len(self._first) == PACE_CASES and self._slow is not None:
                helped = median(self._first) * 2 < self._slow
                self.restarts += helped
                self._hopeless = not helped
                self._slow = None
            return False
        now = median(self._last)
        allowed = max(self.limits.slow, self.limits.slower * median(self._first))
        if self._hopeless or now <= allowed:
            return False
        self._slow = now
        return True

    def restarted(self) -> None:
        """The next case is the first of a fresh process."""
        self._first.clear()
        self._last.clear()


@dataclass(slots=True)
class Budget:
    """When to stop: at a time, or when told to."""

    deadline: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def over(self) -> bool:
        return not self.has(0.0)

    def has(self, seconds: float) -> bool:
        """Whether more than so many seconds are left."""
        late = self.deadline is not None and time.monotonic() + seconds >= self.deadline
        return not (self.stop.is_set() or late)
