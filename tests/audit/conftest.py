"""The small election of this folder, for every file in it; see small_logs.py."""

from tests.audit.small_logs import of

__all__ = ["of"]
