"""Random figures that are the same on every Python: splitmix64 in whole numbers, and sizes that spread as sizes do.

Decides how a seed becomes figures. Each subject (a station, a contest of it, …) has a stream of its own, so that any of them
is drawn again when it is asked for, in whatever order, and nothing need be kept. Python's own `random` promises the same
figures for few of its methods, and its log-normal is a float of the C library.
"""

from __future__ import annotations

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_STEPS = 64


def _mixed(bits: int) -> int:
    """splitmix64's last step: each bit of what it gives depends on every bit it takes."""
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _MASK
    return bits ^ bits >> 31


class Draws:
    """The figures of one subject, named by whole numbers: the seed, what it is, which one."""

    __slots__ = ("_state",)

    def __init__(self, *subject: int) -> None:
        state = 0
        for part in subject:
            state = _mixed((state + _GOLDEN + part) & _MASK)
        self._state = state

    def below(self, end: int) -> int:
        """0 … end − 1, each alike; `end` is at most 2^32, where one part in 2^32 tells nobody anything."""
        self._state = (self._state + _GOLDEN) & _MASK
        return _mixed(self._state) * end >> 64

    def between(self, low: int, high: int) -> int:
        """low … high, both included."""
        return low + self.below(high - low + 1)

    def spread(self, median: int) -> int:
        """A size: half are below `median`, few are far above it, as with a log-normal of standard deviation 0.7."""
        at = self.below(_STEPS * (len(_SIZES_PERMILLE) - 1))
        step, rest = divmod(at, _STEPS)
        low, high = _SIZES_PERMILLE[step], _SIZES_PERMILLE[step + 1]
        return median * (low * (_STEPS - rest) + high * rest) // (1000 * _STEPS)


_SIZES_PERMILLE = (
    163, 294, 374, 439, 499, 555, 610, 665, 721, 778, 837, 900, 966, 1036, 1111, 1194, 1285, 1387, 1504, 1640, 1802, 2006,
    2276, 2674, 3406, 6128,
)  # fmt: skip
"""Of the median, what each 25th part of all sizes ends at (the outermost at one in 200)."""
