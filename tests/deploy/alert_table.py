"""Rule × way to be gone → the cases that play it: `python -m tests.deploy.alert_table` prints the table.

Decides by what cases do, not by what they are called: a case plays a rule's absence, staleness or restart where one of those
whose series the rule asks for leaves the targets, freezes or starts anew in it, and the rule rings just before, or meanwhile.
What can't be played stands here with its reason, which a case shows, too. Refuses to know when a rule rings: promtool judges
each case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.deploy.alert_cases import CASES as VALUES
from tests.deploy.alert_cases import Case
from tests.deploy.alert_cases_gone import CASES as GONE
from tests.deploy.alert_nights import HEALTHY, JOBS, STEP_SECONDS, WAYS, Night, healthy
from tests.deploy.files import PROMETHEUS, parsed

CASES = (*VALUES, *GONE)
RULES = {rule["alert"]: rule for group in parsed(PROMETHEUS / "alerts.yml")["groups"] for rule in group["rules"]}
RECORDED = {rule["record"]: rule["expr"] for group in parsed(PROMETHEUS / "recording.yml")["groups"] for rule in group["rules"]}

IS_ITS_END = (
    "TallyStandingsSilent", "TallyNoPublisher", "TallyBurnFast", "TallyBurnSlow", "TallyPartitionUncounted",
    "TallyWorkersDown", "TallyWorkerDown", "TallyWorkerStaysDown", "TallyBoardsDown", "TallyBoardDown",
    "TallyDumpGone", "TallyDumpDown", "TallyIntakesDown", "TallyIntakeDown", "TallyStationUnseen",
)  # fmt: skip
"""They ring because somebody is away: whoever starts anew is back before they do."""
INSTEAD = {
    "TallyWorkerDown": "TallyWorkersDown", "TallyWorkerStaysDown": "TallyWorkersDown", "TallyBoardDown": "TallyBoardsDown",
    "TallyDumpDown": "TallyDumpGone", "TallyIntakeDown": "TallyIntakesDown", "TallyStationUnseen": "",
}  # fmt: skip
"""They name a target that does not answer. One that is no target has no name; the last of its job rings here. Machines of
stations go home."""
NOT_RUNG = {("restart", rule): "" for rule in IS_ITS_END} | {("absence", rule): other for rule, other in INSTEAD.items()}
"""(way, rule) that no case can make ring → what rings instead."""


def asked(rule: str) -> set[str]:
    """Instances whose series it asks for, those of recorded rules included."""
    expr = RULES[rule]["expr"]
    while recorded := set(re.findall(r"\btally:[\w:]+", expr)):
        for name in recorded:
            expr = expr.replace(name, RECORDED[name])
    jobs = set(re.findall(r'\b(?:up|process_start_time_seconds)\{job="([\w-]+)"\}', expr))
    names = set(re.findall(r"\btally_\w+", expr))
    return {who for who, job in JOBS.items() if job in jobs} | {who for name, who, _ in HEALTHY.series if name in names}


def _meanwhile(case: Case, night: Night, rule: str, way: str) -> Iterator[list[list[str]]]:
    """For each that the rule asks for and that is gone in this way: what rings just before, and until it is back or gone again."""
    for gone, who, since, until in night.gone:
        if gone == way and who in asked(rule):
            end = min([until, *(again for _, other, again, _ in night.gone if other == who and again > since)])
            yield [names.split() for second, names in case.ringing.items() if since - STEP_SECONDS <= second < end]


def broken(case: Case) -> Night:
    night = healthy()
    case.fault(night)
    return night


NIGHTS = [(case, broken(case)) for case in CASES]


def played(rule: str, way: str) -> list[str]:
    """Cases in which it rings as one that it asks for goes, or is gone, in this way."""
    return [
        case.what for case, night in NIGHTS
        if any(rule in names for rung in _meanwhile(case, night, rule, way) for names in rung)
    ]  # fmt: skip


def shown(rule: str, way: str) -> list[str]:
    """Cases in which it is silent meanwhile, as `NOT_RUNG` has it, and at their end what rings instead does."""
    other = NOT_RUNG[way, rule]
    return [
        case.what for case, night in NIGHTS for rung in _meanwhile(case, night, rule, way)
        if rung and not any(rule in names for names in rung) and (not other or other in rung[-1])
    ]  # fmt: skip


def main() -> None:
    print(f"| alert | {' | '.join(WAYS)} |\n|---|{'---|' * len(WAYS)}")
    for rule in RULES:
        cells = (f"silent: {shown(rule, way)[0]}" if (way, rule) in NOT_RUNG else played(rule, way)[0] for way in WAYS)
        print(f"| {rule} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
