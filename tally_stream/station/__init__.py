"""What fills the reports topic: a station's own reports, a recorded night (`night.py`), or a saved log back into an empty
topic (`restore.py`), of which `standing.py` says what stands there already; and an authority's orders (`orders.py`,
`authority.py`).

A station's report is asked for (`paper.py`) or read (`entry.py`), judged (`checking.py`), made a record (`preparing.py`),
kept (`spool.py`) and sent (`client.py`, by `transport.py`); what became of it says `receipts.py`. `simulate.py` and its
neighbours invent a night of any size.
"""
