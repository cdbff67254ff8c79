"""Standings as CSV (RFC 4180): one row for each area and candidate, under a header that is the same for every election.

Votes by way of voting are a table of their own, `csv_channels`. Decides the columns, and that no cell can be taken for a
formula. One row a candidate and not one a wide row an area:
the header then never depends on who stands, and every spreadsheet makes the wide form of it. docs/exports.md has the
columns' meanings; a test compares. Reads nothing but a snapshot that has no problems.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from tally_stream.domain.contest import Candidate
from tally_stream.export.ballot_figures import channel_percent, processed
from tally_stream.export.snapshot import AreaStandings, ContestSnapshot
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.schema.published import CandidateLine, ChannelLine, Measure, SeatsOfList, Standings, Voted

COLUMNS = (
    "election", "phase", "contest", "contest_name", "area", "area_name", "level", "status", "on_hold", "as_of", "version",
    "candidate", "candidate_name", "party", "rank", "votes", "valid", "share_percent",
    "stations_processed", "stations_expected", "stations_percent",
    "registered_processed", "registered_expected", "registered_percent",
    "ballots_counted", "ballots_expected", "ballots_percent",
    "turnout_cast", "turnout_registered", "turnout_percent",
    "ballots_cast", "ballots_blank", "ballots_invalid",
    "stations_counted", "stations_partial", "stations_held", "stations_annulled", "stations_outstanding",
    "rounding", "definition", "next_offsets",
    "votes_per_ballot", "undervotes", "overvotes", "seats_now", "seats_certain",
    "voted", "voted_registered", "voted_percent", "voted_stations", "outcome",
)  # fmt: skip

_Cell = str | int | None

# What spreadsheets take for the start of a formula (OWASP, "CSV injection"), their full-width twins included, behind
# spaces and apostrophes too: a cell that gets one apostrophe more can be read back without loss.
_FORMULA = re.compile(r"['\s]*[=+\-@＝＋－＠]")


def text_cell(text: str) -> str:
    """A text as a cell: with an apostrophe before it where a spreadsheet might take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def csv_table(snapshots: Sequence[ContestSnapshot]) -> str:
    """The whole file; lines end with CR LF. Figures that are not known or hidden are empty, never 0."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for snapshot in snapshots:
        candidates = {c.id: c for c in snapshot.contest.candidates}
        for shown in snapshot.areas():
            before, behind = _of_area(snapshot, shown)
            for line in shown.message.candidates:
                m = shown.message
                row = (
                    *before, *_of_candidate(candidates[line.id], line, m.ballots.valid), *behind,
                    snapshot.contest.votes_per_ballot, m.ballots.undervotes, m.ballots.overvotes, *_of_seats(line.seats),
                    *_of_voted(m.voted), None if m.outcome is None else m.outcome.state,
                )  # fmt: skip
                writer.writerow([text_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return file.getvalue()


def _of_seats(seats: SeatsOfList | None) -> tuple[_Cell, ...]:
    return (None, None) if seats is None else (seats.now, seats.certain)


def _of_voted(voted: Voted | None) -> tuple[_Cell, ...]:
    return (None,) * 4 if voted is None else (voted.done, voted.of, voted.percent, voted.stations)


CHANNEL_COLUMNS = (
    "election", "phase", "contest", "contest_name", "area", "area_name", "level", "status", "on_hold", "as_of", "version",
    "channel", "stations_processed", "stations_expected", "stations_percent", "stations_counted", "stations_partial",
    "stations_held", "stations_annulled", "stations_outstanding", "ballots_cast", "valid", "candidate", "candidate_name",
    "party", "votes", "definition", "next_offsets",
)  # fmt: skip


def csv_channels(snapshots: Sequence[ContestSnapshot]) -> str:
    """As `csv_table`: one row for each area, way of voting and candidate; the header alone where there are no channels."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(CHANNEL_COLUMNS)
    for snapshot in snapshots:
        provenance = canonical_json(snapshot.root.provenance.next_offsets).decode()
        for shown in snapshot.areas():
            before, _ = _of_area(snapshot, shown)
            for channel in shown.message.channels or []:
                of_channel = _of_channel(channel, shown.message)
                for candidate in snapshot.contest.candidates:
                    votes = channel.votes[candidate.id]
                    of_candidate = (candidate.id, candidate.name, candidate.party, votes, shown.message.definition, provenance)
                    row = (*before, *of_channel, *of_candidate)
                    writer.writerow([text_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return file.getvalue()


def _of_channel(channel: ChannelLine, message: Standings) -> tuple[_Cell, ...]:
    stations = channel.stations
    done = processed(stations)
    percent = channel_percent(done, stations.expected, message.rounding.method, message.rounding.places)
    return (
        channel.channel, done, stations.expected, percent, stations.counted, stations.partial,
        stations.held, stations.annulled, stations.outstanding, channel.ballots.cast, channel.ballots.valid,
    )  # fmt: skip


def _of_area(snapshot: ContestSnapshot, shown: AreaStandings) -> tuple[list[_Cell], list[_Cell]]:
    """What stands before and behind a candidate's cells."""
    m = shown.message
    before: list[_Cell] = [
        m.election, m.phase, m.contest, snapshot.contest.name, m.area, shown.name, shown.level, m.status,
        "yes" if m.on_hold else "no", snapshot.root.as_of, snapshot.root.version,
    ]  # fmt: skip
    turnout = (None, None, None) if m.turnout is None else (m.turnout.cast, m.turnout.registered, m.turnout.percent)
    behind: list[_Cell] = [
        *_of_measures((m.progress.stations, m.progress.registered, m.progress.ballots)),
        *turnout,
        m.ballots.cast, m.ballots.blank, m.ballots.invalid,
        m.stations.counted, m.stations.partial, m.stations.held, m.stations.annulled, m.stations.outstanding,
        f"{m.rounding.method}, {m.rounding.places} places", m.definition,
        canonical_json(snapshot.root.provenance.next_offsets).decode(),
    ]  # fmt: skip
    return before, behind


def _of_candidate(candidate: Candidate, line: CandidateLine, valid: int | None) -> tuple[_Cell, ...]:
    return (line.id, line.name, candidate.party, line.rank, line.votes, valid, line.share)


def _of_measures(measures: Iterable[Measure | None]) -> Iterator[_Cell]:
    for measure in measures:
        yield from (None, None, None) if measure is None else (measure.done, measure.of, measure.percent)
