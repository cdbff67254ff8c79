"""What the page says of an outcome before any script runs: the sentence of its state, what it assumes, what it takes to win.

Decides which sentence a state has; the words are in static/lang/, and `static/root.js` chooses alike. The terminal and the
NIST report say the same in English (`export/outcome_words.py`). Refuses to know whether it is right: `domain/outcome.py` is
asked for that.
"""

from __future__ import annotations

import html
from fractions import Fraction
from typing import Any

from tally_stream.board.wording import Words
from tally_stream.domain.contest import Contest
from tally_stream.export.outcome_words import decimal_text, is_for_one_alone

WHEN_ALL_ARE_IN = {
    "outcome.undecided": "outcome.undecided.in",
    "outcome.decided": "outcome.decided.in",
    "outcome.decided.seats": "outcome.elected",
    "outcome.runoff": "outcome.runoff.in",
    "outcome.undecided.lists": "outcome.undecided.in",
    "outcome.decided.lists": "outcome.decided.lists.in",
    "outcome.accepted": "outcome.accepted.in",
    "outcome.rejected": "outcome.rejected.in",
    "outcome.void": "outcome.void.in",
}
"""Sentences that name how many ballots may still come, and what is said instead when there is none."""


def outcome_of(contest: Contest, root: dict[str, Any], bound_percent: Fraction, t: Words) -> str:
    """Its paragraphs; \"\" before the polls close. `bound_percent`: what a station may bring, of its register."""
    outcome = root["outcome"]
    if outcome is None:
        return ""
    elected, tied = outcome["elected"], outcome["tied"] or {"seats": 0, "between": []}
    lists = [c for c in root["candidates"] if c["seats"]] if contest.rule == "proportional" else []
    bound, key = outcome["outstanding_bound"], _sentence(outcome, root["ballots"]["valid"], has_seats=bool(lists))
    is_said = key in WHEN_ALL_ARE_IN
    values = {
        "leader": next((c.name for c in contest.candidates if c.id == outcome["leader"]), ""),
        "lead": t.counted("votes", outcome["lead"]),
        "bound": t.counted("ballots", bound),
        "names": _listed(contest, tied["between"] or elected),
        "seats": t.number(tied["seats"]),
        "limit": _what_wins(contest, t),
        "lists": ", ".join(f"{c['name']} {t.number(c['seats']['now'])}" for c in _by_seats(lists)),
        "certain": t.number(sum(c["seats"]["certain"] for c in lists)),
        "of": t.number(contest.seats),
    }
    all_in = is_said and bound == 0
    texts = [f"{t('outcome.in')} {t(WHEN_ALL_ARE_IN[key], **values)}" if all_in else t(key, **values)]
    if elected and outcome["state"] != "decided" and not lists:  # lists have theirs in a table
        texts.append(t("outcome.elected", names=_listed(contest, elected)))
    said = "".join(f'<p class="outcome">{html.escape(text)}</p>' for text in texts)
    still_out = f"{t('outcome.bound', percent=t.percent(decimal_text(bound_percent)))} " if is_said and bound else ""
    return f'{said}<p class="note">{html.escape(still_out + t("outcome.note"))}</p>'


def _by_seats(lists: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those with seats, the most first."""
    return sorted((c for c in lists if c["seats"]["now"]), key=lambda c: -int(c["seats"]["now"]))


def _sentence(outcome: dict[str, Any], valid: int | None, *, has_seats: bool) -> str:
    """The sentence for a state, by what is known beside it."""
    state, has_leader = outcome["state"], outcome["leader"] is not None
    if has_seats and state in ("undecided", "decided") and outcome["outstanding_bound"] is not None:
        return f"outcome.{state}.lists"
    if state == "none" and has_leader:
        return "outcome.none.leader"
    if state == "undecided" and outcome["outstanding_bound"] is None:
        return "outcome.undecided.unknown"
    if not has_leader and (state == "undecided" or (state == "none" and valid)):
        return "outcome.nobody"
    if state == "decided" and (len(outcome["elected"]) > 1 or not has_leader):
        return "outcome.decided.seats"
    return f"outcome.{state}"


def _what_wins(contest: Contest, t: Words) -> str:
    """The limit of a majority, in words; \"\" under every other rule."""
    m = contest.majority
    if m is None:
        return ""
    base = t("wins.cast" if contest.majority_base == "cast" else "wins.valid")
    limit = t("wins.least" if m.at_least else "wins.over", percent=t.percent(decimal_text(m.percent)), base=base)
    if m.or_percent is not None and m.or_lead_percent is not None:
        share, lead = (t.percent(decimal_text(value)) for value in (m.or_percent, m.or_lead_percent))
        limit = t("wins.or", limit=limit, percent=share, lead=lead)
    return limit if is_for_one_alone(m) else t("wins.most", limit=limit)


def _listed(contest: Contest, candidates: list[str]) -> str:
    return ", ".join(c.name for c in contest.candidates if c.id in candidates)
