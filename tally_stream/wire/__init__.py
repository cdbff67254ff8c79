"""Bytes ↔ domain. Input is hostile until this package returned it; after that nobody validates it again.

Read in this order: `limits`, `reading` (a report, fast), `exact` (why one is refused), `run` (a run through the fold),
`messages` (what we publish), `report_log`, `folder`.
"""
