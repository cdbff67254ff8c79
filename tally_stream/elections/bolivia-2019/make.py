"""Bolivia, 20 October 2019: the quick count (TREP) twice, then the official count, sheet by sheet.

Every vote is from source/; a station is a table (mesa), revision and kind are the source's. The
source knows three instants of publication and no other time, so the log has three. SOURCE.md says
what is replaced in names and why `blank` and `cast` are known for every sheet.

    python tally_stream/elections/bolivia-2019/make.py [--check]
"""

import sys
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[2]))

from tally_stream.elections import night  # noqa: E402

LA_PAZ = timezone(timedelta(hours=-4))
LISTS = ("cc", "fpv", "mts", "ucs", "mas_ipsp", "bdn_21f", "pdc", "mnr", "pan_bol")
LEVELS = ("pais", "departamento", "provincia", "municipio", "localidad", "recinto")
REASON = "The official count of the sheet differs from its preliminary transmission (TREP)"
AUTHORITY = "Órgano Electoral Plurinacional, official count"


def level_value(name: str) -> str:
    """A level's value may not contain a slash, and stands between slashes in an area id."""
    return name.replace("/", "-").strip()


def station_row(row: Mapping[str, str]) -> tuple[str, ...]:
    name = f"Mesa {row['mesa']}, {row['recinto'].strip()}"
    return (row["mesa"], name, row["inscritos"], "", *(level_value(row[level]) for level in LEVELS))


def record(ballot: night.Ballot, row: Mapping[str, str]) -> tuple[int, night.Statement]:
    published_at = datetime.fromisoformat(row["published_at"]).replace(tzinfo=LA_PAZ)
    revision = int(row["revision"])
    order = night.Order(revision - 1, REASON, AUTHORITY) if row["kind"] == "correct" else None
    statement = ballot.counts(
        row["mesa"],
        revision,
        published_at,
        [int(row[name]) for name in LISTS],
        kind=row["kind"],
        blank=int(row["blancos"]),
        invalid=int(row["nulos"]),
        order=order,
    )
    return night.milliseconds(published_at), statement


def build() -> night.Files:
    ballot = night.Ballot.of(FOLDER)
    tables = night.read_table(FOLDER / "source" / "mesas.csv.gz")
    events = night.read_table(FOLDER / "source" / "events.csv.gz")
    header = ("station_id", "name", "registered", "ballots_expected", *LEVELS)
    return {
        "stations.csv.gz": night.gzipped(night.table(header, map(station_row, tables))),
        "reports.jsonl.gz": night.gzipped(night.report_log(record(ballot, row) for row in events)),
    }


if __name__ == "__main__":
    sys.exit(night.run(FOLDER, build))
