"""What the intake says instead of taking something: problem details as RFC 9457 has them, with the rules' codes.

Decides the status and the title of each kind of trouble. The sentence is of whoever found it. Read `server.py` next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tally_stream.station.checking import Remark
from tally_stream.station.intake.taking import RefusedStatement

PROBLEM_TYPE = "urn:tally-stream:intake:"
PROBLEM_CONTENT = "application/problem+json"

PROBLEMS: dict[str, tuple[int, str]] = {
    "wrong-request": (400, "The request is not as it should be"),
    "no-identity": (401, "Nobody is known by this token or certificate"),
    "not-yours": (403, "Another station's"),
    "not-found": (404, "There is no such thing here"),
    "wrong-method": (405, "Not by this method"),
    "too-slow": (408, "The body did not come in time"),
    "other-content": (409, "The revision was taken with other content"),
    "too-large": (413, "Too large"),
    "wrong-type": (415, "Not a type that is read here"),
    "no-statement": (422, "Not a station's statement"),
    "rules": (422, "A rule refuses it"),
    "confirm": (422, "It has to be confirmed"),
    "too-many": (429, "Too many at once"),
    "failed": (500, "The intake failed at this"),
    "busy": (503, "The intake has its hands full"),
    "brokers": (503, "The brokers do not acknowledge"),
}  # fmt: skip
"""A word for the trouble → HTTP status and title. A status alone has several."""


class Problem(Exception):
    """A request that ends here. `why` is a key of PROBLEMS."""

    def __init__(self, why: str, sentence: str, retry_seconds: int | None = None) -> None:
        super().__init__(sentence)
        self.why, self.sentence, self.retry_seconds = why, sentence, retry_seconds

    @property
    def status(self) -> int:
        return PROBLEMS[self.why][0]

    @property
    def content(self) -> dict[str, Any]:
        return content_of(self.why, self.sentence, (), self.retry_seconds)


def problem_of(refused: RefusedStatement) -> tuple[int, dict[str, Any]]:
    """Its status and content."""
    content = content_of(refused.why, refused.sentence, refused.remarks, refused.retry_seconds)
    return PROBLEMS[refused.why][0], content


def content_of(why: str, sentence: str, remarks: Iterable[Remark], retry_seconds: int | None) -> dict[str, Any]:
    status, title = PROBLEMS[why]
    content: dict[str, Any] = {"type": PROBLEM_TYPE + why, "title": title, "status": status, "detail": sentence}
    content["rules"] = rules_said(remarks)
    if retry_seconds is not None:
        content["retry_after_seconds"] = retry_seconds
    return content


def rules_said(remarks: Iterable[Remark]) -> list[dict[str, Any]]:
    return [{"code": r.code, "severity": r.severity, "sentence": r.sentence, "left": r.left, "right": r.right} for r in remarks]
