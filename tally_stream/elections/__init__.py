"""The nights that ship. Each folder is an election folder with its `make.py`, its `source/` and a
SOURCE.md that says what was published and what is reconstructed; `night.py` writes their files."""
