"""The pure count: same records, same state, same bytes. No I/O, clock, randomness, logging or metrics.

Read in this order: `election`, `report`, `rules`, `ledger`, `tally`, `fold`, `standings`.
"""
