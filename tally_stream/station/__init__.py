"""What fills the reports topic: a recorded night (`night.py`), or a saved log back into an empty topic (`restore.py`),
and an authority's orders (`orders.py`, `authority.py`).

`standing.py` says for both what stands on the topic already.
"""
