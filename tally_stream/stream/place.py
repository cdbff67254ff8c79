"""Where in the code an error came from, for the one line that ends a worker.

Decides which frame a reader wants: the innermost of the innermost cause. Refuses to know what the error means and who
ends because of it; `RunTransport.fail` does.
"""

from __future__ import annotations

from pathlib import Path

PARTS_SHOWN = 3
"""Of a file's path: enough to find it, whether it is ours or a library's."""


def place_of(error: BaseException) -> str:
    """`tally_stream/domain/tally.py:120`, or "" for an error that was never raised."""
    place, seen = "", set[int]()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        trace = cause.__traceback__
        while trace is not None:
            path = Path(trace.tb_frame.f_code.co_filename)
            place = f"{'/'.join(path.parts[-PARTS_SHOWN:])}:{trace.tb_lineno}"
            trace = trace.tb_next
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return place
