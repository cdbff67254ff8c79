"""Where things stand in this repository."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NIGHTS = ROOT / "tally_stream" / "elections"
