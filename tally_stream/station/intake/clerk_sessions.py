"""Who is signed in to the clerk's page: an opaque random number in a cookie, and here what it stands for.

Decides how long and how many. A token stays here in memory and is asked for again at each step, so that one that is taken
away ends its sessions too. After a restart everybody signs in anew; what was typed comes along. Read `clerk_routes.py` next.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

SESSIONS_MAX = 10_000
IDLE_MAX_SECONDS = 12 * 60 * 60
RANDOM_BYTES = 32


@dataclass(slots=True)
class ClerkSession:
    """`language` is the one that was chosen, "" where none was."""

    token: str = field(repr=False)
    language: str
    seen_seconds: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(RANDOM_BYTES), repr=False)

    def is_own(self, csrf: str) -> bool:
        """Whether a form was made for this session."""
        return hmac.compare_digest(csrf.encode(), self.csrf.encode())


class ClerkSessions:
    """By the cookie's value. The one that was not seen for the longest goes where there are too many."""

    def __init__(self, clock_seconds: Callable[[], float], most: int = SESSIONS_MAX) -> None:
        self._clock_seconds, self._most = clock_seconds, most
        self._all: OrderedDict[str, ClerkSession] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, token: str, language: str) -> str:
        """The new session's cookie."""
        cookie = secrets.token_urlsafe(RANDOM_BYTES)
        self._all[cookie] = ClerkSession(token, language, self._clock_seconds())
        while len(self._all) > self._most:
            self._all.popitem(last=False)
        return cookie

    def find(self, cookie: str) -> ClerkSession | None:
        session = self._all.get(cookie)
        if session is None:
            return None
        now = self._clock_seconds()
        if now - session.seen_seconds > IDLE_MAX_SECONDS:
            self.end(cookie)
            return None
        session.seen_seconds = now
        self._all.move_to_end(cookie)
        return session

    def end(self, cookie: str) -> None:
        self._all.pop(cookie, None)
