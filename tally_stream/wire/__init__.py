"""Bytes ↔ domain. Input is hostile until this package returned it; after that nobody validates it again.

Read in this order: `limits`, `codec` (reports), `messages` (what we publish), `report_log`, `folder`.
"""
