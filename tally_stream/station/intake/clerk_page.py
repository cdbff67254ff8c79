"""The clerk's page as HTML: sign in, choose a paper, its form (a count, or the turnout so far), and its receipt.

Decides what stands where: each remark beside the field it is about, and once more above the form, with a link to it, so that
nobody has to look for it on a small screen. It is whole without a script; `static/clerk.js` adds sums while typing, the draft
and sending when the connection is back, out of what is said here in `data-` attributes. Text from definitions and whatever
was typed is escaped here and nowhere trusted. Pure: no request, no clock. Longer than most files, so that all HTML, and with it
all escaping, stands in one. Read `clerk_routes.py` next.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Election
from tally_stream.domain.scalars import TEXT_MAX_CODE_POINTS
from tally_stream.station.checking import Remark
from tally_stream.station.intake.clerk_form import OF_VOTES, StationPaper, confirmation_of, question_beside
from tally_stream.station.intake.clerk_words import CLERK_LANGUAGES, ClerkWords
from tally_stream.station.paper import (
    CORRECTION,
    VOTES,
    Answers,
    Question,
    RunningSum,
    ballots_sum,
    is_count,
    votes_sum,
)
from tally_stream.station.receipts import StationReceipt

LISTED_MAX = 200
CLERK_FILES = "/clerk/"
_escape = html.escape


@dataclass(frozen=True, slots=True)
class ClerkFrame:
    """What every page has. `here` is the address that a change of language leads to; `csrf` is None where nobody is signed
    in."""

    election: Election
    words: ClerkWords
    here: str
    csrf: str | None = None


@dataclass(frozen=True, slots=True)
class ClerkSheet:
    """The form of one paper. `answers` as they were typed; `mistakes`: question → what is wrong; `remarks`: what the rules
    say; `confirmed`: which of these the clerk confirmed; `trouble`: key of the words above all, `said` what an English sentence
    adds. `is_fresh`: nobody sent this form, so a draft on the device is newer."""

    paper: StationPaper
    revision: int
    next_revision: int
    zone: str
    answers: Answers = field(default_factory=dict)
    mistakes: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[Remark] = ()
    confirmed: frozenset[str] = frozenset()
    trouble: str | None = None
    said: str = ""
    is_fresh: bool = False
    waits: bool = False
    """The same again may be taken: the script tries."""
    earlier: tuple[int, int] | None = None
    """Partition and offset of the revision before `next_revision`, where that is known here."""


def sheet_path(paper: StationPaper) -> str:
    return f"/station/{quote(paper.station.id, safe='')}/{quote(paper.sequence, safe='')}"


def receipt_path(paper: StationPaper, partition: int, offset: int) -> str:
    return f"{sheet_path(paper)}/receipt/{partition}/{offset}"


# -- signing in ------------------------------------------------------------------------------------------------------


def login_page(frame: ClerkFrame, *, to: str = "/", trouble: str | None = None, kept: Sequence[tuple[str, str]] = ()) -> str:
    """`to`: where signing in leads. `kept`: fields of a form that was sent when nobody was signed in any more; they are there
    again behind it, so no other language leads away from here then. `trouble`: key of what is said of the code."""
    t = frame.words
    hidden = "".join(_hidden(name, value) for name, value in [("to", to), *(("kept " + n, v) for n, v in kept)])
    problem = f'<p class="problem" id="token-problem">{_escape(t(trouble))}</p>' if trouble else ""
    describes = "token-hint" + (" token-problem" if trouble else "")
    body = f"""
<h2>{_escape(t("login"))}</h2>
{f'<p class="notice" role="status">{_escape(t("login.kept"))}</p>' if kept else ""}
<form method="post" action="/login?lang={t.language}" class="login">
{hidden}
<div class="field{" wrong" if trouble else ""}">
<label for="token">{_escape(t("login.token"))}</label>
<p class="hint" id="token-hint">{_escape(t("login.hint"))}</p>
{problem}
<input id="token" name="token" type="password" autocomplete="current-password" required aria-describedby="{describes}"\
{' aria-invalid="true"' if trouble else ""}>
</div>
<button class="send">{_escape(t("login"))}</button>
</form>"""
    return _document(frame, t("login"), body, speaks=not kept)


def reports_page(frame: ClerkFrame, found: Sequence[StationPaper], words: str, *, searches: bool) -> str:
    """What this code may send. `searches`: there are so many that one looks for one's own; `words` are what was looked for."""
    t = frame.words
    items = "".join(
        f'<li><a href="{_escape(sheet_path(paper))}"><bdi>{_escape(paper.station.id)}</bdi> '
        f"<bdi>{_escape(paper.station.name)}</bdi>: <bdi>{_escape(title_of(t, paper))}</bdi></a></li>"
        for paper in found[:LISTED_MAX]
    )
    search = f"""<form method="get" action="/" role="search" class="login"><div class="field">
<label for="q">{_escape(t("find.label"))}</label><input id="q" name="q" value="{_escape(words)}" autocomplete="off"></div>
<button>{_escape(t("find"))}</button></form>"""
    rest = len(found) - LISTED_MAX
    more = f"<p>{_escape(t('reports.more', n=t.number(rest)))}</p>" if rest > 0 else ""
    none = "" if found else f"<p>{_escape(t('none'))}</p>"
    body = f"""
<h2>{_escape(t("reports"))}</h2>
{search if searches else ""}
<ul class="reports">{items}</ul>{more}{none}
{_logout(frame)}"""
    return _document(frame, t("reports"), body)


def none_page(frame: ClerkFrame) -> str:
    t = frame.words
    body = f'<h2>{_escape(t("none"))}</h2>\n<p><a href="/">{_escape(t("list"))}</a></p>\n{_logout(frame)}'
    return _document(frame, t("none"), body)


# -- the form --------------------------------------------------------------------------------------------------------


def form_page(frame: ClerkFrame, sheet: ClerkSheet) -> str:
    t, paper = frame.words, sheet.paper
    ids = {q.name: f"q{index}" for index, q in enumerate(paper.questions)}
    above = [r for r in sheet.remarks if question_beside(r) is None and (paper.contest is None or r.code not in OF_VOTES)]
    intro, asked = ("intro.turnout", _of_turnout) if paper.contest is None else ("intro", _of_count)
    title = title_of(t, paper)
    body = f"""
<h2><bdi>{_escape(title)}</bdi></h2>
{_whose(t, sheet)}
{_summary(t, sheet, ids)}
<p id="told" class="notice" role="status" hidden></p>
<p id="heard" class="unseen" role="status"></p>
<form id="sheet" method="post" action="{_escape(sheet_path(paper))}" autocomplete="off" novalidate \
{_said_to_script(frame, sheet)}>
{_hidden("csrf", frame.csrf or "")}{_hidden("zone", sheet.zone)}
<p>{_escape(t(intro))}</p>
{"".join(_remark(t, sheet, r) for r in above)}
{asked(t, sheet, ids)}
<button class="send" name="do" value="send">{_escape(t("send"))}</button>
<button type="button" id="stop" hidden>{_escape(t("script.stop"))}</button>
</form>
<p><a href="/">{_escape(t("list"))}</a></p>
{_logout(frame)}"""
    said = title if not _is_wrong(sheet) else f"{t('look')} {title}"
    return _document(frame, said, body, has_script=True, sheet="sheet")


def title_of(t: ClerkWords, paper: StationPaper) -> str:
    """What the paper is of: the contest's name, or the word for turnout."""
    return t("turnout") if paper.contest is None else paper.contest.name


def _of_count(t: ClerkWords, sheet: ClerkSheet, ids: Mapping[str, str]) -> str:
    assert sheet.paper.contest is not None, "turnout is asked for in another way"
    questions = [q for q in sheet.paper.questions if q not in CORRECTION]
    of_votes = [q for q in questions if q.name.startswith(VOTES) or _is_of_votes(q)]
    times = [q for q in questions if q.is_time]
    of_ballots = [q for q in questions if q not in of_votes and q not in times]
    votes = [r for r in sheet.remarks if r.code in OF_VOTES]
    return f"""<fieldset><legend>{_escape(t("ballots"))}</legend>
{_fields(t, sheet, of_ballots, ids)}
{_sum(t, "ballots", _ballots(sheet.answers))}
</fieldset>
<fieldset><legend>{_escape(t("votes"))}</legend>
{_fields(t, sheet, of_votes, ids)}
{_sum(t, "votes", _votes(sheet.answers, sheet.paper.contest))}
<div id="of-votes">{"".join(_remark(t, sheet, r) for r in votes)}</div>
</fieldset>
<fieldset><legend>{_escape(t("time"))}</legend>
{_fields(t, sheet, times, ids)}
</fieldset>
{_revision(t, sheet)}
{_correction(t, sheet, _fields(t, sheet, CORRECTION, ids))}"""


def _of_turnout(t: ClerkWords, sheet: ClerkSheet, ids: Mapping[str, str]) -> str:
    return f"""<fieldset><legend>{_escape(t("turnout"))}</legend>
{_fields(t, sheet, sheet.paper.questions, ids)}
</fieldset>
{_revision(t, sheet)}"""


def _fields(t: ClerkWords, sheet: ClerkSheet, some: Iterable[Question], ids: Mapping[str, str]) -> str:
    return "".join(_field(t, sheet, q, ids[q.name]) for q in some)


def _is_of_votes(question: Question) -> bool:
    return question.name in ("undervotes", "overvotes")


def _is_wrong(sheet: ClerkSheet) -> bool:
    return bool(sheet.mistakes or sheet.remarks or sheet.trouble)


def _whose(t: ClerkWords, sheet: ClerkSheet) -> str:
    station = sheet.paper.station
    said = f"{_escape(t('station'))} <bdi>{_escape(station.id)}</bdi>, <bdi>{_escape(station.name)}</bdi>"
    if sheet.paper.contest is not None:
        turnout = _escape(sheet_path(StationPaper(station, None)))
        said += f'<br><a href="{turnout}">{_escape(t("turnout"))}</a>'
    last = sheet.next_revision - 1
    if not last or sheet.revision <= last:
        return f'<p class="whose">{said}</p>'
    receipt = ""
    if sheet.earlier is not None:
        href = _escape(receipt_path(sheet.paper, *sheet.earlier))
        receipt = f' <a href="{href}">{_escape(t("receipt"))}</a>'
    return f'<p class="whose">{said}</p><p class="notice">{_escape(t("earlier", n=str(last)))}{receipt}</p>'


def _summary(t: ClerkWords, sheet: ClerkSheet, ids: Mapping[str, str]) -> str:
    """What is wrong, above all, each with a link to its place."""
    if not _is_wrong(sheet):
        return ""
    trouble = ""
    if sheet.trouble:
        said = f' <span lang="en">{_escape(sheet.said)}</span>' if sheet.said else ""
        trouble = f"<p>{_escape(t(sheet.trouble))}{said}</p>"
    items = [
        f'<li><a href="#{ids[name]}">{_name(t, question)}</a>: {_escape(t(f"mistake.{sheet.mistakes[name]}"))}</li>'
        for question in sheet.paper.questions
        if (name := question.name) in sheet.mistakes
    ]
    items += [f'<li><a href="#{_remark_id(r)}">{_said(t, r)}</a></li>' for r in sheet.remarks]
    listed = f"<ul>{''.join(items)}</ul>" if items else ""
    return f'<div id="look" class="summary" role="alert" tabindex="-1"><h3>{_escape(t("look"))}</h3>{trouble}{listed}</div>'


def _name(t: ClerkWords, question: Question) -> str:
    candidate = question.candidate
    return f"<bdi>{_escape(candidate.name)}</bdi>" if candidate else _escape(t(f"q.{question.name}"))


def _field(t: ClerkWords, sheet: ClerkSheet, question: Question, id: str) -> str:
    mistake = sheet.mistakes.get(question.name)
    remarks = [r for r in sheet.remarks if question_beside(r) == question.name]
    described, hint, problem = [], "", ""
    if question.is_time:
        described.append(f"{id}-hint")
        text = _escape(t("q.counted_at.hint", zone="\0")).replace("\0", f'<span id="zone">{_escape(sheet.zone)}</span>')
        hint = f'<p class="hint" id="{id}-hint">{text}</p>'
    if mistake:
        described.append(f"{id}-problem")
        problem = f'<p class="problem" id="{id}-problem">{_escape(t(f"mistake.{mistake}"))}</p>'
    described += [f"{_remark_id(r)}-said" for r in remarks]
    attributes = f' aria-describedby="{" ".join(described)}"' if described else ""
    if mistake or any(r.severity in ("error", "reject") for r in remarks):
        attributes += ' aria-invalid="true"'
    if question.is_needed:
        attributes += ' aria-required="true"'
    if question.is_text:
        attributes += f' maxlength="{TEXT_MAX_CODE_POINTS}"'
    elif not question.is_time:
        attributes += ' inputmode="numeric"'
    party = question.candidate.party if question.candidate else None
    note = f' <bdi class="hint">{_escape(party)}</bdi>' if party else ""
    needed = f' <span class="hint">({_escape(t("needed"))})</span>' if question.is_needed else ""
    return (
        f'<div class="field{" wrong" if mistake or remarks else ""}">'
        f'<label for="{id}">{_name(t, question)}{note}{needed}</label>{hint}{problem}'
        f'<input id="{id}" name="{_escape(question.name)}" value="{_escape(sheet.answers.get(question.name, ""))}"'
        f' autocomplete="off"{attributes}>'
        f"{''.join(_remark(t, sheet, r) for r in remarks)}</div>"
    )


def _revision(t: ClerkWords, sheet: ClerkSheet) -> str:
    """Folded away: it is right by itself but where another machine sends for this station too."""
    label = _escape(t("revision"))
    return f"""<details><summary>{label} {sheet.revision}</summary><div class="field"><label for="revision">{label}</label>
<p class="hint" id="revision-hint">{_escape(t("revision.hint"))}</p>
<input id="revision" name="revision" value="{sheet.revision}" inputmode="numeric" autocomplete="off" \
aria-describedby="revision-hint"></div></details>"""


def _correction(t: ClerkWords, sheet: ClerkSheet, fields: str) -> str:
    """Folded away where nothing of it is typed: few reports are one."""
    names = {q.name for q in CORRECTION}
    is_said = any(sheet.answers.get(name) for name in names) or any(question_beside(r) in names for r in sheet.remarks)
    return f"""<details{" open" if is_said else ""}><summary>{_escape(t("correction"))}</summary>
<p class="hint">{_escape(t("correction.hint"))}</p>
{fields}</details>"""


def _remark(t: ClerkWords, sheet: ClerkSheet, remark: Remark) -> str:
    """A rule's word, and the box that confirms it; what is refused cannot be confirmed."""
    id, box = _remark_id(remark), ""
    if remark.severity in ("error", "warning"):
        value = confirmation_of(remark)
        checked = " checked" if value in sheet.confirmed else ""
        box = (
            f'<label class="confirm" for="{id}">'
            f'<input type="checkbox" id="{id}" name="confirm" value="{_escape(value)}"{checked}>'
            f" <span>{_escape(t(f'confirm.{remark.severity}'))}</span></label>"
        )
    anchor = "" if box else f' id="{id}" tabindex="-1"'
    kind = _escape(t(f"severity.{'warning' if remark.severity == 'information' else remark.severity}"))
    said = f'<p id="{id}-said"><strong>{kind}</strong> {_said(t, remark)}</p>'
    return f'<div class="remark {remark.severity}"{anchor}>{said}{box}</div>'


def _remark_id(remark: Remark) -> str:
    return f"rule-{remark.code}"


def _said(t: ClerkWords, remark: Remark) -> str:
    own = t.of_remark(remark)
    said = f'<span lang="en">{_escape(remark.sentence)}</span>' if own is None else _escape(own)
    return f'{said} <span class="code">{_escape(remark.code)}</span>'


# -- sums ------------------------------------------------------------------------------------------------------------


def _ballots(answers: Answers) -> RunningSum:
    return ballots_sum(_counts(answers))


def _votes(answers: Answers, contest: Contest) -> RunningSum:
    return votes_sum(_counts(answers), contest)


def _counts(answers: Answers) -> Answers:
    """What is no number adds nothing: its own field says what is wrong with it."""
    return {name: answer for name, answer in answers.items() if is_count(answer)}


def _sum(t: ClerkWords, name: str, found: RunningSum) -> str:
    """The sum as it stands; the script says it anew with the same words."""
    if found.of is None:
        text = t(f"sum.{name}", total=t.number(found.total))
    else:
        text = t(f"sum.{name}.of", total=t.number(found.total), of=t.number(found.of)) + _difference(
            t, found.total, found.of, found
        )
    return f'<p class="sum" id="sum-{name}"><output aria-live="off">{_escape(text)}</output></p>'


def _difference(t: ClerkWords, total: int, of: int, found: RunningSum) -> str:
    if total > of:
        return ". " + t("sum.over", n=t.number(total - of))
    if total < of:
        return ". " + t("sum.missing" if found.is_whole else "sum.left", n=t.number(of - total))
    return ". " + t("sum.right") if found.is_whole else ""


def _said_to_script(frame: ClerkFrame, sheet: ClerkSheet) -> str:
    """The script's words and what it needs to know, so that it has none of its own."""
    t, election = frame.words, frame.election
    words = (
        "sum.ballots", "sum.ballots.of", "sum.votes", "sum.votes.of", "sum.right", "sum.over", "sum.missing", "sum.left",
        "script.sending", "script.offline", "script.restored",
    )  # fmt: skip
    said = {f"word-{name.replace('.', '-')}": t(name) for name in words}
    said |= {
        "group": t.number(1000)[1:-3], "draft": _draft(election, sheet.paper),
        "fresh": "true" if sheet.is_fresh else "false", "waits": "true" if sheet.waits else "false",
    }  # fmt: skip
    if sheet.paper.contest is not None:
        said["votes-per-ballot"] = str(sheet.paper.contest.votes_per_ballot)
    return " ".join(f'data-{name}="{_escape(value)}"' for name, value in said.items())


def _draft(election: Election, paper: StationPaper) -> str:
    """Under which name a browser keeps what was typed: another definition may have other candidates."""
    return f"tally {election.id} {election.digest[-16:]} {paper.station.id} {paper.sequence}"


# -- the receipt -----------------------------------------------------------------------------------------------------


def receipt_page(
    frame: ClerkFrame, paper: StationPaper, revision: int | None, place: tuple[int, int], receipt: StationReceipt,
    figures: Mapping[str, str],
) -> str:  # fmt: skip
    """`figures`: what was sent, question → answer; empty where it is not known here any more."""
    t, station = frame.words, paper.station
    title = title_of(t, paper)
    reasons = "".join(
        f'<li><span class="code">{_escape(code)}</span> <span lang="en">{_escape(sentence)}</span></li>'
        for code, sentence in zip(receipt.codes, receipt.sentences, strict=False)
    )
    rows = "".join(
        f"<div><dt>{_name(t, q)}</dt><dd>{_escape(_shown(t, figures[q.name]))}</dd></div>"
        for q in paper.questions
        if figures.get(q.name)
    )
    sent = f'<h3>{_escape(t("receipt.figures"))}</h3>\n<dl class="figures">{rows}</dl>' if rows else ""
    number = f"<br>{_escape(t('revision'))} {revision}" if revision is not None else ""
    partition, offset = map(str, place)
    body = f"""
<h2>{_escape(t("receipt"))}: <bdi>{_escape(title)}</bdi></h2>
<p class="whose">{_escape(t("station"))} <bdi>{_escape(station.id)}</bdi>, <bdi>{_escape(station.name)}</bdi>{number}</p>
<div id="state" class="state {receipt.state}" role="status" data-final="{"true" if receipt.is_final else "false"}" \
data-draft="{_escape(_draft(frame.election, paper))}" data-revision="{"" if revision is None else revision}">
<p><strong>{_escape(t(f"state.{receipt.state}"))}</strong></p>{f"<ul>{reasons}</ul>" if reasons else ""}</div>
<p><a class="again" href="{_escape(receipt_path(paper, *place))}">{_escape(t("receipt.again"))}</a></p>
{sent}
<p class="hint">{_escape(t("receipt.place", partition=partition, offset=offset))}</p>
<p><a href="{_escape(sheet_path(paper))}">{_escape(t("receipt.next"))}</a></p>
<p><a href="/">{_escape(t("list"))}</a></p>
{_logout(frame)}"""
    return _document(frame, f"{t('receipt')}: {title}", body, has_script=True)


def _shown(t: ClerkWords, figure: str) -> str:
    return t.number(int(figure)) if is_count(figure) else figure


# -- the frame -------------------------------------------------------------------------------------------------------


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{_escape(name)}" value="{_escape(value)}">'


def _logout(frame: ClerkFrame) -> str:
    label = _escape(frame.words("logout"))
    return (
        f'<form method="post" action="/logout" class="out">{_hidden("csrf", frame.csrf or "")}<button>{label}</button></form>'
    )


def _speak(frame: ClerkFrame, sheet: str | None) -> str:
    """The languages. Beside a form (`sheet`: its id) they are buttons that send it, for another look and no more: what was
    typed comes along."""
    t = frame.words

    def one(language: str) -> str:
        name = _escape(ClerkWords(language)("_name"))
        current = ' aria-current="true"' if language == t.language else ""
        if sheet:
            return (
                f'<button class="link" form="{sheet}" name="do" value="{language}" lang="{language}"{current}>{name}</button>'
            )
        href = _escape(f"{frame.here}?{urlencode({'lang': language})}")
        return f'<a href="{href}" lang="{language}" hreflang="{language}"{current}>{name}</a>'

    items = "".join(f"<li>{one(language)}</li>" for language in CLERK_LANGUAGES)
    return f'<nav class="languages" aria-label="{_escape(t("languages"))}"><ul>{items}</ul></nav>'


def _document(
    frame: ClerkFrame, title: str, body: str, *, has_script: bool = False, sheet: str | None = None, speaks: bool = True
) -> str:
    t, election = frame.words, frame.election
    test = f'<p class="test" role="note">{_escape(t("test"))}</p>' if election.phase == "test" else ""
    script = f'<script src="{CLERK_FILES}clerk.js" defer></script>' if has_script else ""
    return f"""<!doctype html>
<html lang="{t.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_escape(title)} · {_escape(election.name)}</title>
<meta name="robots" content="noindex">
<link rel="icon" href="{CLERK_FILES}icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{CLERK_FILES}clerk.css">
{script}
</head>
<body>
<header>{test}<h1><bdi>{_escape(election.name)}</bdi></h1><p class="hint">{_escape(t("title"))}</p></header>
<main id="main">{body}
{_speak(frame, sheet) if speaks else ""}</main>
</body>
</html>
"""
