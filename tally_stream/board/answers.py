"""An HTTP answer that is made once and given to many: its digest as ETag, its time, each compressed form.

Decides what a reader who has it already is told (304), and which form fits what a reader accepts.
"""

from __future__ import annotations

import hashlib
from email.utils import formatdate

import cramjam
import msgspec
from aiohttp import web
from aiohttp.hdrs import ACCEPT_ENCODING

COMPRESSED_MIN_BYTES = 512
BROTLI_LEVEL = 4
"""At 200 KB of standings: 4 ms and within a tenth of the best size; level 11 takes half a second."""

GZIP_LEVEL = 6


class Answer:
    """Bytes with their validators. `modified_ms`: the time that they say of themselves, the same on every board; None
    where they say none.

    Everything is asked for again each time and nearly always known: a page must never mix files of two versions.
    """

    def __init__(self, body: bytes, content_type: str, modified_ms: int | None = None) -> None:
        self.body = body
        self.content_type = content_type
        self.tag = hashlib.sha256(body).hexdigest()[:24]
        self.modified_ms = modified_ms
        self._forms: dict[str, bytes] = {"": body}

    def to(self, request: web.BaseRequest, headers: dict[str, str] | None = None) -> web.Response:
        """The answer for this request: 304, or the body in a form that it accepts."""
        form = self._form_for(request.headers.get(ACCEPT_ENCODING, ""))
        own = {
            "ETag": f'"{self.tag}-{form}"' if form else f'"{self.tag}"',
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
            **(headers or {}),
        }
        if self.modified_ms is not None:
            own["Last-Modified"] = formatdate(self.modified_ms // 1000, usegmt=True)
        if self._is_known_to(request):
            return web.Response(status=304, headers=own)
        if form:
            own["Content-Encoding"] = form
        return web.Response(body=self._in_form(form), headers={"Content-Type": self.content_type, **own})

    def _is_known_to(self, request: web.BaseRequest) -> bool:
        """By its tag alone: two versions can be of one second, so a time can't tell them apart."""
        asked = request.headers.get("If-None-Match", "")
        tags = {tag.strip().removeprefix("W/").strip('"').split("-")[0] for tag in asked.split(",")}
        return self.tag in tags or asked.strip() == "*"

    def _form_for(self, accepted: str) -> str:
        if len(self.body) < COMPRESSED_MIN_BYTES:
            return ""
        offered = {}
        for item in accepted.lower().split(","):
            name, _, quality = item.partition(";")
            offered[name.strip()] = quality.replace(" ", "")
        for form in ("br", "gzip"):
            if form in offered and offered[form] not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
                return form
        return ""

    def _in_form(self, form: str) -> bytes:
        if form not in self._forms:
            packed = (
                cramjam.brotli.compress(self.body, level=BROTLI_LEVEL)
                if form == "br"
                else cramjam.gzip.compress(self.body, level=GZIP_LEVEL)
            )
            self._forms[form] = bytes(packed)
        return self._forms[form]


def json_answer(content: object, modified_ms: int | None = None) -> Answer:
    """Canonical order, so that the same content has the same digest on every board."""
    return Answer(msgspec.json.encode(content, order="deterministic"), "application/json", modified_ms)


class Answers:
    """Answers by what was asked, each good while its token stays the same; the oldest are forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[tuple[object, ...], tuple[object, Answer]] = {}

    def get(self, asked: tuple[object, ...], token: object) -> Answer | None:
        kept = self._kept.get(asked)
        return kept[1] if kept is not None and kept[0] == token else None

    def put(self, asked: tuple[object, ...], token: object, answer: Answer) -> Answer:
        self._kept.pop(asked, None)
        self._kept[asked] = (token, answer)
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
        return answer
