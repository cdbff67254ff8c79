"""A referendum as it leaves the board: yes beside no in one bar, its quorum, and the areas that must approve too.

Decides how each looks and which sentence a quorum has; `static/referendum.js` draws the same anew. Refuses to know what
follows: `page_outcome.py` says whether it is accepted.
"""

from __future__ import annotations

import html
from typing import Any

from tally_stream.board.wording import Words
from tally_stream.domain.contest import Contest
from tally_stream.export.ballot_figures import is_quorum_reached
from tally_stream.export.outcome_words import decimal_text

_escape = html.escape


def referendum_of(contest: Contest, root: dict[str, Any], limit: str | None, t: Words) -> str:
    """\"\" for every other rule, and before the polls close. `limit`: the share of valid ballots that wins, where there is
    one."""
    if contest.approval is None or root["outcome"] is None:
        return ""
    yes, no = sorted(root["candidates"], key=lambda line: line["id"] != contest.approval)
    measures = _quorum(contest, root["outcome"], t) + _areas(contest, root["outcome"], t)
    listed = f'<dl class="measures">{measures}</dl>' if measures else ""
    return f"{_yes_and_no(yes, no, limit, t)}{listed}"


def _yes_and_no(yes: dict[str, Any], no: dict[str, Any], limit: str | None, t: Words) -> str:
    if yes["share"] is None:
        return ""
    line = "" if limit is None else f'<line x1="{limit}%" x2="{limit}%" y1="0" y2="100%"/>'
    sides = "".join(
        f"<span><bdi>{_escape(side['name'])}</bdi> <strong>{_escape(t.percent(side['share']))} %</strong></span>"
        for side in (yes, no)
    )
    return (
        f'<h3>{_escape(t("referendum"))}</h3><p class="sides">{sides}</p><svg class="sidebar" aria-hidden="true">'
        f'<rect class="no" x="{_from_the_right(no["share"])}%" y="15%" width="{no["share"]}%" height="70%"/>'
        f'<rect class="yes" y="15%" width="{yes["share"]}%" height="70%"/>{line}</svg>'
    )


def _from_the_right(share: str) -> str:
    """Where its part begins: ballots that gave no vote are of neither side, and stay free between them. A picture, not a
    figure."""
    return f"{100 - float(share):.4g}"


def _quorum(contest: Contest, outcome: dict[str, Any], t: Words) -> str:
    if contest.quorum is None:
        return ""
    percent = decimal_text(contest.quorum.percent)
    must = t("wins.over" if contest.quorum.more_than else "wins.least", percent=t.percent(percent), base=t("quorum.base"))
    title = f"<dt>{_escape(t('quorum', limit=must, of=t(f'quorum.{contest.quorum.of}')))}</dt>"
    quorum = outcome["quorum"]
    if quorum is None:
        return f'<div class="unknown">{title}<dd>{_escape(t("unknown"))}</dd></div>'
    state = "reached" if is_quorum_reached(outcome) else "void" if outcome["state"] == "void" else "open"
    of = f"<span>{_escape(t('of', done=t.number(quorum['done']), of=t.number(quorum['of'])))}</span>"
    said = _escape(t(f"quorum.{state}", needed=t.number(quorum["needed"])))
    if quorum["percent"] is None:  # of nobody
        return f"<div>{title}<dd>{of}</dd><dd>{said}</dd></div>"
    bar = (
        f'<svg class="bar" aria-hidden="true"><rect width="{_at_most_whole(quorum["percent"])}%" height="100%"/>'
        f'<line x1="{percent}%" x2="{percent}%" y1="0" y2="100%"/></svg>'
    )
    strong = f"<strong>{_escape(t.percent(quorum['percent']))} %</strong>"
    return f"<div>{title}<dd>{strong} {of}{bar}</dd><dd>{said}</dd></div>"


def _at_most_whole(percent: str) -> str:
    """A register can be smaller than what is counted. A picture, not a figure."""
    return f"{min(float(percent), 100.0):g}"


def _areas(contest: Contest, outcome: dict[str, Any], t: Words) -> str:
    areas, rule = outcome["double_majority"], contest.double_majority
    if areas is None or rule is None:
        return ""
    figures = {name: t.percent(areas[name]) for name in ("approved", "rejected", "undecided", "of")}
    title = f"<dt>{_escape(t('approving', level=rule.level))}</dt>"
    strong = f"<strong>{_escape(figures['approved'])} : {_escape(figures['rejected'])}</strong>"
    return f"<div>{title}<dd>{strong} <span>{_escape(t('approving.of', **figures))}</span></dd></div>"
