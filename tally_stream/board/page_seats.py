"""Seats as they leave the board: a bar with the majority's line, the same as a table, and who takes part in sharing them out.

Decides which list has which part of the bar (the most seats first), and how what is certain looks apart from what is not yet:
solid and hatched, with figures beside it, never by colour alone. `static/seats.js` draws the same anew. Refuses to share out
seats; a message says who has them. `page_group.py` draws the bar of a group with it.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from tally_stream.board.wording import Words
from tally_stream.domain.contest import Contest
from tally_stream.export.ballot_figures import majority_of_seats, threshold_of
from tally_stream.export.outcome_words import decimal_text

COLORS = 7
"""So many the page has of its own, for lists whose definition names none."""

FIGURE_MIN_PERCENT = 5
"""A part of the bar that is narrower has no figure above it."""

NAMES_MAX = 8

_escape = html.escape


@dataclass(frozen=True, slots=True)
class Part:
    """Of a list, or a party: its seats now, and how many of them are certain. `place` chooses a colour where there is none."""

    name: str
    now: int
    certain: int
    place: int
    color: str | None = None


def seats_of(contest: Contest, root: dict[str, Any], t: Words) -> str:
    """The bar, the table and the notes of a proportional contest; \"\" for others, and before the polls close."""
    if contest.rule != "proportional" or root["outcome"] is None:
        return ""
    drawn = seats_drawn(_parts(contest, root), contest.seats, t, t("seats.list"))
    rules = "".join(f'<p class="note">{_escape(text)}</p>' for text in _rules(contest, root, t))
    return f"<h3>{_escape(t('seats'))}</h3>{drawn}{rules}" if drawn or rules else ""


def seats_drawn(parts: list[Part], seats: int, t: Words, of_what: str) -> str:
    """The bar, the table behind it and what they mean; \"\" where nobody is known to have any. `of_what`: the head of the
    column of names."""
    if not parts:
        return ""
    order = sorted((part for part in parts if part.now or part.certain), key=lambda part: -part.now)
    rows = "".join(
        f'<tr><th scope="row">{_key(part)}<bdi>{_escape(part.name)}</bdi></th>'
        f'<td class="n">{t.number(part.now)}</td><td class="n">{t.number(part.certain)}</td></tr>'
        for part in order
    )
    head = "".join(
        f'<th scope="col"{kind}>{_escape(word)}</th>'
        for word, kind in ((of_what, ""), (t("seats.now"), ' class="n"'), (t("seats.certain"), ' class="n"'))
    )
    left = seats - sum(part.now for part in parts)
    note = t("seats.note", majority=t.number(majority_of_seats(seats)), seats=t.number(seats))
    note += f" {t('seats.left', n=t.number(left))}" if left else ""
    return (
        f'{_bar(order, seats)}<p class="note">{_escape(note)}</p>'
        f'<table class="seats"><caption class="unseen">{_escape(t("seats.caption"))}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _parts(contest: Contest, root: dict[str, Any]) -> list[Part]:
    place_of = {candidate.id: place for place, candidate in enumerate(contest.candidates)}
    return [
        Part(line["name"], line["seats"]["now"], line["seats"]["certain"], place, contest.candidates[place].color)
        for line in root["candidates"]
        if line["seats"] is not None
        for place in (place_of[line["id"]],)
    ]


def _bar(order: list[Part], seats: int) -> str:
    drawn, begin = [], 0
    for part in order:
        x, certain = _percent(begin, seats), min(part.now, part.certain)
        width, unsure = _percent(part.now, seats), _percent(part.now - certain, seats)
        drawn.append(f'<rect{_filled(part)} x="{x}%" y="1.4em" width="{width}%" height="1.7em"/>')
        if part.now > certain:
            at = _percent(begin + certain, seats)
            drawn.append(f'<rect class="unsure" x="{at}%" y="1.4em" width="{unsure}%" height="1.7em" fill="url(#hatch)"/>')
        if 100 * part.now >= FIGURE_MIN_PERCENT * seats:
            middle = _percent(2 * begin + part.now, 2 * seats)
            drawn.append(f'<text x="{middle}%" y="1em" text-anchor="middle">{part.now}</text>')
        begin += part.now
    at = _percent(majority_of_seats(seats), seats)
    return (
        '<svg class="seatbar" aria-hidden="true"><defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect class="hatch" width="3" height="6"/></pattern></defs>'
        '<rect class="whole" x="0%" y="1.4em" width="100%" height="1.7em"/>'
        f'{"".join(drawn)}<line x1="{at}%" x2="{at}%" y1="1.2em" y2="3.5em"/></svg>'
    )


def _percent(part: int, whole: int) -> str:
    """Of a picture; as the script writes it."""
    return f"{100 * part / whole:.4g}"


def _filled(part: Part) -> str:
    return f' class="part{part.place % COLORS}"' if part.color is None else f' fill="{_escape(part.color)}"'


def _key(part: Part) -> str:
    return f'<svg class="swatch" aria-hidden="true"><rect{_filled(part)} width="100%" height="100%"/></svg>'


def _rules(contest: Contest, root: dict[str, Any], t: Words) -> list[str]:
    """Threshold, exempt lists and lists that are counted together, in sentences. What these are certain of together is not
    said: it can be more than the sum of what each of them is."""
    names = {candidate.id: candidate.name for candidate in contest.candidates}
    said = []
    threshold, rule = threshold_of(contest, root), contest.allocation
    if threshold is not None and rule is not None:
        limit = {"percent": t.percent(decimal_text(rule.threshold_percent)), "base": t(f"wins.{rule.threshold_base}")}
        if threshold.needed is None:
            said.append(t("seats.threshold.unknown", **limit))
        else:
            needed, passing = t.number(threshold.needed), t.number(len(threshold.passing))
            said.append(t("seats.threshold", **limit, needed=needed, n=passing))
            if threshold.below:
                said.append(t("seats.below", names=_some([names[id] for id in threshold.below], t)))
        if rule.exempt:
            said.append(t("seats.exempt", names=_some([names[id] for id in rule.exempt], t)))
    seats = {line["id"]: line["seats"] for line in root["candidates"]}
    for together in contest.combinations:
        now = sum(seats[id]["now"] for id in together if seats[id])
        said.append(t("seats.together", names=" + ".join(names[id] for id in together), now=t.number(now)))
    return said


def _some(names: list[str], t: Words) -> str:
    more = len(names) - NAMES_MAX
    listed = ", ".join(names[:NAMES_MAX])
    return listed if more <= 0 else t("seats.more", names=listed, n=t.number(more))
