"""The fields of a report, for tests that look at each."""

REPORT_FIELDS = (
    "contest", "station", "revision", "kind", "complete", "counted_at", "counted_at_ms", "registered", "cast", "valid",
    "blank", "invalid", "votes", "replaces", "reason", "authority", "undervotes",
    "overvotes",
)  # fmt: skip
