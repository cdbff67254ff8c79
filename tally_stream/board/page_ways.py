"""Ways of voting as they leave the board: how far each is counted, and its votes in a table; and who has voted so far.

Decides what stands where; an election without channels, and an area without stations of one, has nothing of it.
`static/ways.js` draws the same anew.
"""

from __future__ import annotations

import html
from typing import Any

from tally_stream.board.wording import Words
from tally_stream.export.ballot_figures import channel_percent, is_all_in, processed_of

BAR_MOST = 99.0

_escape = html.escape


def bar_width(percent: str | None) -> str:
    """What is not whole never looks full, however little is missing. A picture, not a figure."""
    width = float(percent or 0)
    return f"{width if width >= 100 else min(width, BAR_MOST):g}"


def voted_measure(root: dict[str, Any], t: Words) -> str:
    """Voters by turnout statements, before the close too: so far, or up to the count once all is counted; \"\" where no station
    made one."""
    voted = root["voted"]
    if voted is None:
        return ""
    when = "voted.counted" if is_all_in(root) else "voted"
    title = f"<dt>{_escape(t(when, stations=t.counted('stations', voted['stations'])))}</dt>"
    if voted["percent"] is None:
        return f"<div>{title}<dd><strong>{t.number(voted['done'])}</strong></dd></div>"
    of = t("of", done=t.number(voted["done"]), of=t.number(voted["of"]))
    return f"<div>{title}<dd>{_measured(voted['percent'], of, t)}</dd></div>"


def _measured(percent: str, of: str, t: Words) -> str:
    bar = f'<svg class="bar" aria-hidden="true"><rect width="{bar_width(percent)}%" height="100%"/></svg>'
    return f"<strong>{_escape(t.percent(percent))} %</strong> <span>{_escape(of)}</span>{bar}"


def ways_of(root: dict[str, Any], t: Words) -> dict[str, str]:
    """The template's places: how far each way of voting is counted, and the table of their votes."""
    channels = [(channel, processed_of(channel), channel["stations"]["expected"]) for channel in root["channels"] or []]
    shown = [(channel, done, of) for channel, done, of in channels if of]
    if not shown:
        return {"ways": "", "ways_hidden": " hidden", "ways_head": "", "ways_votes": ""}
    rounding = root["rounding"]
    measures = ""
    for channel, done, of in shown:
        percent = channel_percent(done, of, rounding["method"], rounding["places"])
        assert percent is not None, "it has stations"
        said = t("of", done=t.number(done), of=t.counted("stations", of))
        measures += f"<div><dt><bdi>{_escape(channel['channel'])}</bdi></dt><dd>{_measured(percent, said, t)}</dd></div>"
    head = "".join(f'<th scope="col" class="n"><bdi>{_escape(channel["channel"])}</bdi></th>' for channel, _, _ in shown)
    rows = [("", c["name"], [channel["votes"][c["id"]] for channel, _, _ in shown]) for c in root["candidates"]]
    for figure in ("cast", "valid"):
        rows.append((' class="sum"', t(f"ways.{figure}"), [channel["ballots"][figure] for channel, _, _ in shown]))
    return {
        "ways": f'<h3>{_escape(t("ways"))}</h3><dl class="measures">{measures}</dl>',
        "ways_hidden": "",
        "ways_head": f'<tr><th scope="col">{_escape(t("candidate"))}</th>{head}</tr>',
        "ways_votes": "".join(
            f'<tr{kind}><th scope="row"><bdi>{_escape(name)}</bdi></th>'
            + "".join(f'<td class="n">{t.number(figure)}</td>' for figure in figures)
            + "</tr>"
            for kind, name, figures in rows
        ),
    }
