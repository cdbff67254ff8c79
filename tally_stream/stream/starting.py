"""What a worker looks at before it starts, and every reason not to.

Decides whether a start is refused, and lists all reasons at once: topic settings on which the count depends, settings on which
durability depends (shown instead in a rehearsal), a report log that lost records, standings of another definition or another
number of partitions. Refuses to know how a worker runs; `worker.py` is what reads on. What a log lost
(`kafka/lost.py`) is asked again at every assignment.
"""

from __future__ import annotations

from dataclasses import dataclass

from tally_stream.domain.election import Election
from tally_stream.kafka.client import TopicReader
from tally_stream.kafka.lost import lost_at_ends
from tally_stream.kafka.topics import Topics, check_topics
from tally_stream.settings import Settings
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.merging import check_published, note_offsets


class WorkerRefused(Exception):
    """The worker does not start: `errors` are all the reasons, one a sentence."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a run is told beyond the settings. `checks_topics` is False on the embedded broker, which has no topic
    settings; partials and standings of `replaced_definitions` (digests) are ignored; `resends_outputs` sends rejections
    and changes again from offset 0, as a replaced definition does too."""

    checks_topics: bool = True
    replaced_definitions: frozenset[str] = frozenset()
    resends_outputs: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """What the topics said before the worker started: the partitions of reports, for each the highest next offset of any
    published root, and the durability risks that a rehearsal takes."""

    partition_count: int
    published_offsets: dict[int, int]
    risks: list[str]


async def look_at_topics(settings: Settings, election: Election, options: WorkerOptions) -> Start:
    """Topic settings, the partition count and the standings already published. Raises WorkerRefused."""
    topics = Topics(settings.prefix)
    refusals: list[str] = []
    risks: list[str] = []
    if options.checks_topics:
        report = await check_topics(settings, is_official=election.phase == "official")
        refusals += report.refusals
        if settings.rehearsal:
            risks = report.risks
        else:
            refusals += report.risks
        partition_count = report.partitions
        if not report.is_complete:  # asking for a topic could make it
            raise WorkerRefused(refusals)
    else:
        async with TopicReader(settings, topics.reports) as reader:
            partition_count = len(reader.partitions)

    published: dict[int, int] = {}
    try:
        async with TopicReader(settings, topics.standings) as reader:
            async for records in reader.read_to_end():
                for record in records:
                    if record.value is None:
                        continue
                    found = check_published(record, election, partition_count, topics, options.replaced_definitions)
                    if found is not None and found.area == election.root:
                        note_offsets(published, found)
    except BrokenInvariant as broken:
        refusals.append(str(broken))
    async with TopicReader(settings, topics.reports) as reader:
        for partition, (start, end) in sorted((await reader.bounds()).items()):
            refusals += lost_at_ends(
                partition, start, end, published.get(partition, 0), "the published standings stand on them"
            )
    if refusals:
        raise WorkerRefused(refusals)
    return Start(partition_count, published, risks)
