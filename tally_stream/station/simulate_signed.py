"""What only a night of signatures has: key statements before its first report, and each way in which a signature is wrong.

Decides the records and what the rules say of them, as `simulate_stories.py` does for everything else. Read `simulate.py` next.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from tally_stream.station.signing_key import SealingKey
from tally_stream.station.simulate_keys import (
    ADDED,
    COMMISSION_KEY,
    EARLY,
    EXPIRED,
    REVOKED,
    STATION_KINDS,
    STRANGER,
    NightKeys,
    key_id_of,
)
from tally_stream.station.simulate_places import CLOSE_MS, MINUTE_MS
from tally_stream.station.simulate_stories import (
    COMMISSION,
    Case,
    Fields,
    Said,
    Story,
    Told,
    because,
    encoded,
    head,
    then_right,
)
from tally_stream.wire.envelope import PAYLOAD_TYPE

KEYS_SAID_MS = CLOSE_MS - 11 * 60 * MINUTE_MS
"""When keys are revoked and added: before anybody has said who voted."""


def key_statements(keys: NightKeys, phase: str) -> list[Said]:
    """A stolen laptop's key is revoked, and a spare one's is added; a copy of each goes to every partition."""
    spare: Fields = {"holder": "The spare laptop", "station": "", "kinds": " ".join(STATION_KINDS)}
    said: list[tuple[str, Fields]] = [
        (REVOKED, {"action": "revoke"}), (ADDED, {"action": "add", **spare, "public_key": keys.key(ADDED).public}),
    ]  # fmt: skip
    why = {"reason": "a laptop was stolen", "authority": COMMISSION}
    return [
        Said(0, id.encode(), encoded({**head(phase), "key_id": id, "revision": 1, "kind": "key", **fields, **why}),
             signer=COMMISSION_KEY, is_for_all=True)
        for id, fields in said
    ]  # fmt: skip


def _refused(signer: str | None, then: str = "", revision: int = 1) -> Callable[[Case], Told]:
    """Signed with that key, None: not at all; and rightly some minutes after it, with the station's own key or another one.
    `revision` is that of the right one: what is refused uses up none, but an intake, which verifies no signature, takes no
    other content under the same."""

    def tell(case: Case) -> Told:
        return then_right(case, case.said(case.counts(case.sheet()), "S6", signer=signer), signer=then, revision=revision)

    return tell


def _of_another(case: Case) -> Told:
    other = case.country.id_of((case.station + 1) % case.country.stations)
    return _refused(key_id_of(other), revision=2)(case)


def _of_another_kind(case: Case) -> Told:
    """A station orders what is the commission's to order."""
    fields = case.counts(case.sheet(), kind="recount", **because(0, "we would rather count again"))
    return then_right(case, case.said(fields, "S6", signer=key_id_of(case.id)), revision=2)


def _forged(case: Case) -> Told:
    """Under the station's name, by somebody else's hand."""
    forged = SealingKey(key_id_of(case.id), case.night_keys.key(STRANGER).private)
    return then_right(case, case.said(forged.seal(encoded(case.counts(case.sheet()))), "S6", signer=None), revision=2)


def _of_another_type(case: Case) -> Told:
    envelope = json.loads(case.night_keys.seal(encoded(case.counts(case.sheet())), key_id_of(case.id)))
    return then_right(case, case.said({**envelope, "payload_type": PAYLOAD_TYPE + "s"}, "S6", signer=None))


WRONG_SIGNATURES = {
    "S6 not signed": Story(_refused(None)),
    "S6 forged": Story(_forged),
    "S6 unknown key": Story(_refused(STRANGER, revision=2)),
    "S6 revoked key": Story(_refused(REVOKED, then=ADDED)),
    "S6 key out of its time": Story(_refused(EXPIRED, revision=2)),
    "S6 key before its time": Story(_refused(EARLY, revision=2)),
    "S6 key of another station": Story(_of_another),
    "S6 key of other kinds": Story(_of_another_kind),
    "S6 payload type": Story(_of_another_type),
}
"""Instead of the one that unsigned nights have. The first word is the code."""
