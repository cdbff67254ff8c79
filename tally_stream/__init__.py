"""Election-night count as a stream. Read `domain/` first, then `wire/`, then `stream/topology.py`."""

__version__ = "0.1.0"
