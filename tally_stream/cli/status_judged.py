"""What is wrong, in one sentence each, worst first: a pure function of what was seen (`status_seen.Situation`).

Decides what an operator is called for (`problems`) and what is merely worth knowing (`notices`). One look sees what is, not
since when: what stands still is told by `Standstills`, over several looks. An alert (deploy/prometheus/alerts.yml) may ring
later than this says it. Refuses to know how anything was asked, and how it is shown: `status_screen.py` and `status_object.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tally_stream.cli.follow import NO_STANDINGS_SECONDS, duration
from tally_stream.cli.status_seen import Program, Root, Situation
from tally_stream.station.receipts import REFUSED_STATES
from tally_stream.wire.newest import root_seconds

if TYPE_CHECKING:
    from tally_stream.kafka.observing import Observed

STILL_SECONDS = 8.0
"""So long reports may wait while nothing moves: longer than a worker rests between two publications of a wide election."""

COMMIT_AGE_SECONDS = 20.0
DUMP_BEHIND_SECONDS = 60.0
CERTIFICATE_DAYS = 14
SPOOL_WAITS_SECONDS = 300.0
SUBMIT_SILENT_SECONDS = 240.0
"""A `submit` that has something to send writes its file sooner again: brokers that take and do not answer cost it 45 s, an
intake 60 s, opening a client as much, and it rests for 30 s."""
CONTESTS_NAMED_MAX = 3
PARTITIONS_NAMED_MAX = 5
_INTAKE = "the intake "


@dataclass(frozen=True, slots=True)
class Judged:
    """`problems` and `notices` are sentences; without problems all is as it should be."""

    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Met:
    """Who says that a digest is that of its definition: `is_given`, the election that the operator gave; programs; the newest
    standings of contests."""

    is_given: bool = False
    programs: list[Program] = field(default_factory=list)
    contests: list[str] = field(default_factory=list)

    def names(self) -> list[str]:
        given = ["the election given"] if self.is_given else []
        standings = [f"standings of {contest}" for contest in self.contests]
        return given + standings + [f"{one.kind} {one.address}" for one in self.programs]

    def count_by_kind(self) -> dict[str, int]:
        return dict(Counter(str(one.kind) for one in self.programs))


@dataclass(frozen=True, slots=True)
class Incomplete:
    """What an authority ordered and not every partition has. `kind`: hold (or its release) or certify; `partitions`: contest →
    in how many it stands, of 20 of the contests at most."""

    kind: str
    contest_count: int
    partitions: dict[str, int]


class Standstills:
    """Since when what waits has not moved: partitions by their committed offset, contests by what their root stands on, intakes
    by what was acknowledged there."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[object, float]] = {}

    def note(self, seen: Situation) -> dict[str, float]:
        """What stands still with reports waiting → for how many seconds, 0 at the first look."""
        places = dict(_places_of_intakes(seen.programs))
        if seen.kafka is not None and seen.kafka.ends:
            places |= _places(seen.kafka, seen.roots)
        self._since = {
            name: (place, self._since[name][1] if name in self._since and self._since[name][0] == place else seen.at)
            for name, place in places.items()
        }
        return {name: seen.at - since for name, (_, since) in self._since.items()}


def _places(kafka: Observed, roots: dict[str, Root]) -> Iterator[tuple[str, object]]:
    """What has reports waiting, and where it stands."""
    for partition, end in sorted(kafka.ends.items()):
        committed = kafka.committed.get(partition, 0)
        if committed < end:
            yield f"partition {partition}", committed
    for root in roots.values():
        if unread(kafka, root) and not root.is_on_hold:
            yield f"the standings of {root.contest}", tuple(sorted(root.next_offsets.items()))


def _places_of_intakes(programs: Iterable[Program]) -> Iterator[tuple[str, object]]:
    for one in programs:
        if one.value("tally_intake_under_way"):
            yield f"{_INTAKE}{one.address}", one.value("tally_intake_taken_total")


def judge(seen: Situation, still: Mapping[str, float] | None = None) -> Judged:
    """Worst first: no Kafka, no leader, nobody counts, silence, then what only threatens. `still`: of `Standstills.note`."""
    judged = Judged()
    still = still or {}
    if seen.kafka is None:
        judged.problems.append(seen.kafka_error)
    else:
        judged.problems.extend(_without_leader(seen.kafka))
        judged.problems.extend(_of_group(seen.kafka))
        judged.problems.extend(_of_standings(seen, seen.kafka))
        judged.problems.extend(_standing_still(still))
        judged.problems.extend(_of_brokers(seen.kafka))
        judged.problems.extend(_of_topics(seen, seen.kafka))
        judged.problems.extend(_of_silence(seen.kafka))
        judged.notices.extend(_of_contests(seen.roots))
    judged.problems.extend(_of_waiting_intakes(still))
    _of_programs(seen, judged)
    judged.problems.extend(_of_digests(seen))
    judged.problems.extend(_of_certificates(seen))
    judged.notices.extend(seen.unused)
    return judged


def unread(kafka: Observed, root: Root) -> int:
    """Records of the reports that the contest's newest standings do not stand on yet."""
    return sum(max(0, end - root.next_offsets.get(partition, 0)) for partition, end in kafka.ends.items())


def _some(names: Iterable[object], most: int) -> str:
    all_names = [str(name) for name in names]
    more = len(all_names) - most
    return ", ".join(all_names[:most]) + (f" and {more} more" if more > 0 else "")


def _without_leader(kafka: Observed) -> list[str]:
    leaderless = [f"{one.topic}[{one.partition}]" for one in kafka.partitions if one.leader < 0]
    if not leaderless:
        return []
    return [f"no broker leads {_some(leaderless, PARTITIONS_NAMED_MAX)}: nothing there can be read or written"]


def _of_brokers(kafka: Observed) -> list[str]:
    found = []
    gone = sorted({replica for one in kafka.partitions for replica in one.replicas} - kafka.brokers.keys())
    if gone and kafka.brokers:
        found.append(f"{'broker' if len(gone) == 1 else 'brokers'} {_some(gone, PARTITIONS_NAMED_MAX)} "
                     f"{'is' if len(gone) == 1 else 'are'} down: {len(kafka.brokers)} answer")  # fmt: skip
    late = [one for one in kafka.partitions if len(one.in_sync) < len(one.replicas) and one.leader >= 0]
    behind = [one for one in late if not set(one.replicas) - set(one.in_sync) <= set(gone)]
    if behind:
        named = _some((f"{one.topic}[{one.partition}]" for one in behind), PARTITIONS_NAMED_MAX)
        found.append(f"copies of {named} are behind on brokers that are up: look at their disks and network")
    return found


def _of_group(kafka: Observed) -> list[str]:
    group = kafka.group
    if group is None:
        return []
    if not group.members:
        return [f"no worker is in the group {group.name}: nobody counts"]
    if group.state != "Stable":
        return [f"the group {group.name} is being put together ({group.state}): nobody counts until it is Stable"]
    found = []
    owned = {partition for member in group.members for partition in member.partitions}
    without = sorted(kafka.ends.keys() - owned)
    if without:
        found.append(f"no worker has partition {_some(without, PARTITIONS_NAMED_MAX)} of the reports: it is not counted")
    if not any(member.has_partials for member in group.members):
        found.append("no worker has the partials: nobody publishes standings")
    return found


def _of_standings(seen: Situation, kafka: Observed) -> list[str]:
    found, roots = [], seen.roots
    lost = sorted(p for p, start in kafka.starts.items() if start > 0)
    if lost:
        found.append(
            f"partition {_some(lost, PARTITIONS_NAMED_MAX)} of the reports begins above offset 0: the log lost records"
        )
    beyond = sorted({p for root in roots.values() for p, o in root.next_offsets.items() if o > kafka.ends.get(p, o)})
    if beyond:
        found.append(f"partition {_some(beyond, PARTITIONS_NAMED_MAX)} of the reports ends below what standings stand on: "
                     "the log lost records")  # fmt: skip
    if kafka.newest_ms is None:
        if kafka.ends and any(kafka.ends.values()) and not kafka.silent:
            found.append("there are reports and no standings: nothing was ever published")
        return found
    silence = seen.at - kafka.newest_ms / 1000
    if silence >= NO_STANDINGS_SECONDS:
        found.append(f"no standings were published for {duration(silence)}: what the public sees stands still")
    if silence < NO_STANDINGS_SECONDS:
        limit = max(NO_STANDINGS_SECONDS, 3 * root_seconds(len(roots)))
        late = [root.contest for root in roots.values() if seen.at - root.sent_at >= limit]
        if late:
            found.append(f"no root of {_some(late, CONTESTS_NAMED_MAX)} was published for {duration(limit)} and more, though "
                         "others are")  # fmt: skip
        without = [contest for contest in seen.contests if contest not in roots]
        if without:
            where = "on the topic" if kafka.is_read_whole else "among the newest messages"
            found.append(f"no root of {_some(without, CONTESTS_NAMED_MAX)} stands {where}")
    return found


def _standing_still(still: Mapping[str, float]) -> list[str]:
    late = [(name, seconds) for name, seconds in still.items() if seconds >= STILL_SECONDS and not name.startswith(_INTAKE)]
    if not late:
        return []
    named = _some((name for name, _ in late), CONTESTS_NAMED_MAX)
    return [f"reports wait, and {named} did not move for {duration(max(seconds for _, seconds in late))}: look at the worker's "
            "log"]  # fmt: skip


def _of_waiting_intakes(still: Mapping[str, float]) -> list[str]:
    return [
        f"statements wait at {name}, and none was acknowledged for {duration(seconds)}: look at its log"
        for name, seconds in still.items()
        if seconds >= STILL_SECONDS and name.startswith(_INTAKE)
    ]


def _of_silence(kafka: Observed) -> list[str]:
    """Questions without an answer. A topic that is not there has its line already, and nobody can read it."""
    return kafka.silent + (kafka.missing if kafka.topics is None else [])


def _of_topics(seen: Situation, kafka: Observed) -> list[str]:
    if kafka.topics is None:
        return []
    return kafka.topics.refusals + ([] if seen.settings.rehearsal else kafka.topics.risks)


def _of_contests(roots: dict[str, Root]) -> list[str]:
    found = []
    on_hold = [root.contest for root in roots.values() if root.is_on_hold]
    if on_hold:
        found.append(f"{_some(on_hold, CONTESTS_NAMED_MAX)} on hold: the published figures stand still on purpose")
    for word in ("held", "disputed"):
        contests = [root for root in roots.values() if getattr(root, word)]
        if contests:
            count = sum(getattr(root, word) for root in contests)
            named = _some((root.contest for root in contests), CONTESTS_NAMED_MAX)
            stations = "station is" if count == 1 else "stations are"
            found.append(f"{count:,} {stations} {word} in {named}: an authority decides, `tally-stream held` lists them")
    return found


def _of_programs(seen: Situation, judged: Judged) -> None:
    answering = [one for one in seen.programs if not one.error]
    for one in seen.programs:
        if one.error and one.is_asked_for:
            judged.problems.append(f"{one.address}: {one.error}")
    for one in answering:
        if one.kind == "submit":
            _of_spool(one, judged, seen.at)
        else:
            {"worker": _of_worker, "board": _of_board, "dump": _of_dump, "intake": _of_intake}[one.kind or "worker"](
                one, judged
            )
    publishing = [one.address for one in answering if one.value("tally_publishes_standings") == 1]
    if len(publishing) > 1:
        judged.problems.append(
            f"more than one worker says that it publishes: {', '.join(publishing)}; one must have been frozen"
        )
    _of_incomplete(seen, judged)
    if not answering:
        told = ", ".join(one.address for one in seen.programs)
        judged.notices.append(f"no program's metrics were read ({told}): say with --at where they are served" if told else
                              "no program's metrics were read: say with --at where they are served")  # fmt: skip


def incomplete(programs: Iterable[Program]) -> list[Incomplete]:
    """What the workers tell of it, a kind each."""
    count: dict[str, int] = {}
    named: dict[str, dict[str, int]] = {}
    for one in programs:
        for labels, value in one.samples.get("tally_incomplete_statements", []):
            if value:
                count[labels["kind"]] = int(value)
        for labels, value in one.samples.get("tally_incomplete_statement_partitions", []):
            named.setdefault(labels["kind"], {})[labels["contest"]] = int(value)
    return [Incomplete(kind, contests, dict(sorted(named.get(kind, {}).items()))) for kind, contests in count.items()]


def _of_incomplete(seen: Situation, judged: Judged) -> None:
    of = "" if seen.kafka is None or not seen.kafka.ends else f" of {len(seen.kafka.ends)}"
    for one in incomplete(seen.programs):
        what = "hold (or its release)" if one.kind == "hold" else "certification"
        where = [f"{contest}: {partitions}{of}" for contest, partitions in one.partitions.items()]
        more = f" and {one.contest_count - CONTESTS_NAMED_MAX:,} more" if one.contest_count > CONTESTS_NAMED_MAX else ""
        told = ", ".join(where[:CONTESTS_NAMED_MAX]) + more if where else f"{one.contest_count:,} contests"
        judged.problems.append(
            f"{what} incomplete, it stands in some partitions and not in all ({told}): the same order, given again with "
            "`tally-stream authority`, sends the copies that are missing"
        )


def _of_worker(one: Program, judged: Judged) -> None:
    left = sum(one.values("tally_replay_remaining_records"))
    if one.value("tally_ready") == 0:
        lag = sum(one.values("tally_lag_records"))
        why = "it waits for its group, or for a partition of another worker: /readyz says which"
        if left or lag:
            why = f"it replays, {left:,.0f} records are left" if left else f"{lag:,.0f} records are not counted yet"
        judged.problems.append(f"worker {one.address} is not ready: {why}")
    age = max(one.values("tally_commit_age_seconds"), default=0.0)
    if age >= COMMIT_AGE_SECONDS:
        judged.problems.append(f"worker {one.address} has not committed for {duration(age)}")
    if one.value("tally_rehearsal") == 1:
        judged.notices.append(f"worker {one.address} runs with rehearsal settings: right for a rehearsal, wrong for a count")


def _of_board(one: Program, judged: Judged) -> None:
    age = max(one.values("tally_board_contact_age_seconds"), default=0.0)
    if one.value("tally_board_fold_failed") == 1:
        judged.problems.append(f"board {one.address} shows no stations: a record stopped its fold")
    elif one.value("tally_board_ready") == 0 and age >= NO_STANDINGS_SECONDS:
        judged.problems.append(f"board {one.address} is not ready: it last heard of a worker {duration(age)} ago")
    elif one.value("tally_board_ready") == 0:
        judged.problems.append(f"board {one.address} is not ready: it still reads what was published before it started")
    refused = one.value("tally_board_refused_messages_total") or 0
    if refused:
        judged.notices.append(f"board {one.address} met {refused:,.0f} messages since its start that no worker can have "
                              "published")  # fmt: skip


def _of_dump(one: Program, judged: Judged) -> None:
    if one.value("tally_dump_file_bytes") == 0:
        judged.problems.append(f"the copy of the log ({one.address}) has no file under its name")
    behind = one.value("tally_dump_behind_seconds") or 0.0
    if behind >= DUMP_BEHIND_SECONDS:
        judged.problems.append(f"the copy of the log ({one.address}) has been behind for {duration(behind)}: "
                               f"{sum(one.values('tally_dump_lag_records')):,.0f} records are not in it")  # fmt: skip


def _of_intake(one: Program, judged: Judged) -> None:
    from tally_stream.station.intake.taking import UNDER_WAY_MAX

    if not one.is_ready:
        why = "; ".join(one.reasons) or "/readyz says why"
        judged.problems.append(f"intake {one.address} is not ready: {why}")
    if (one.value("tally_intake_under_way") or 0) >= UNDER_WAY_MAX:
        judged.problems.append(f"intake {one.address} takes nothing more: {UNDER_WAY_MAX:,} statements wait there for brokers")
    if one.value("tally_intake_tokens") == 0:
        judged.notices.append(f"intake {one.address} knows no token: only a station with a certificate can send")


def _of_spool(one: Program, judged: Judged, at: float) -> None:
    """Of `submit` on a station's machine, as its file says; of each election and topic."""
    written = {labels["topic"]: value for labels, value in one.samples.get("tally_spool_written_timestamp_seconds", [])}
    for labels, oldest in one.samples.get("tally_spool_oldest_unsent_timestamp_seconds", []):
        if oldest and at - oldest >= SPOOL_WAITS_SECONDS:
            silent = at - written.get(labels["topic"], 0.0)
            why = "its `submit` runs, and its lines say what keeps it"
            if silent >= SUBMIT_SILENT_SECONDS:
                why = f"no `submit` has tried for {duration(silent)}: run it there"
            judged.problems.append(f"a statement has waited in the spool of {one.address} for {duration(at - oldest)}: {why}")
    for labels, ends in one.samples.get("tally_spool_credential_ends_timestamp_seconds", []):
        if ends - at < CERTIFICATE_DAYS * 86_400:
            when = f"expires in {duration(ends - at)}" if ends > at else "has expired"
            judged.problems.append(f"the {labels['what']} of {one.address} {when}")
    for labels, count in one.samples.get("tally_spool_newest_statements", []):
        if count and labels["state"] in REFUSED_STATES:
            what = f"{count:,.0f} newest {'statement is' if count == 1 else 'statements are'} {labels['state']}"
            judged.notices.append(f"{what} at {one.address}: `tally-stream submit --status` there says why")


def definitions(seen: Situation) -> dict[str, Met]:
    """Each digest that was met → who says it."""
    met: dict[str, Met] = {}
    if seen.definition is not None:
        met.setdefault(seen.definition, Met()).is_given = True
    for root in seen.roots.values():
        met.setdefault(root.definition, Met()).contests.append(root.contest)
    for one in seen.programs:
        digest = one.labels("tally_build_info").get("digest")
        if digest:
            met.setdefault(digest, Met()).programs.append(one)
    return met


def _of_digests(seen: Situation) -> list[str]:
    met = definitions(seen)
    if len(met) < 2:
        return []
    told = "; ".join(f"{digest}: {_some(who.names(), CONTESTS_NAMED_MAX)}" for digest, who in met.items())
    return [f"they do not count by one definition: {told}"]


def _of_certificates(seen: Situation) -> list[str]:
    found = list(seen.unread)
    for one in seen.certificates:
        left = one.ends_at - seen.at
        if left <= 0:
            found.append(f"the certificate has expired: {one.what}")
        elif left < CERTIFICATE_DAYS * 86_400:
            found.append(f"the certificate expires in {duration(left)}: {one.what}")
    return found
