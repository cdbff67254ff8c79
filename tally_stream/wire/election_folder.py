"""An election folder → the definition, or every mistake in it at once, each with its file and line.

Decides what a definition may say (FORMATS: `docs/wire-format.md`, "Election folder"). pydantic checks the shape of
`election.toml`; stations are checked in plain code, because a night may have a million of them: many at a time in
`plain_stations.py`, and where that finds something wrong row by row here, which names each mistake.
"""

from __future__ import annotations

import csv
import gc
import re
import tomllib
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from tally_stream.domain.election import (
    Candidate,
    Checks,
    Contest,
    Election,
    ExitPoll,
    Rounding,
    Skip,
    StationRow,
    build_election,
)
from tally_stream.domain.scalars import COUNT_MAX, ID_MAX_CHARS, is_id, text_error
from tally_stream.domain.standings import widest_partial_bytes
from tally_stream.wire.limits import (
    AREAS_MAX,
    CANDIDATES_MAX,
    CONTESTS_MAX,
    FOLDER_ERRORS_SHOWN_MAX,
    PARTIAL_MAX_BYTES,
    ROUNDING_PLACES_MAX,
    SEATS_MAX,
    STATIONS_MAX,
)
from tally_stream.wire.plain_stations import FIXED_COLUMNS, csv_reader, is_count, level_error, plain_stations
from tally_stream.wire.report_log import open_maybe_gzip


class ElectionFolderError(Exception):
    """`errors` are sentences, `file:line: what`, one a mistake, in file order."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


# -- the shape of election.toml ------------------------------------------------------------------------------------


def _id(value: str) -> str:
    if not is_id(value):
        raise ValueError(f"is not an id ([A-Z0-9][A-Z0-9._-]*, at most {ID_MAX_CHARS} characters)")
    return value


def _text(value: str) -> str:
    wrong = text_error(value)
    if wrong is not None:
        raise ValueError(wrong)
    return value


def _not_empty(value: str) -> str:
    if not value:
        raise ValueError("is empty")
    return value


def _exact(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("is not a number")
    number = Decimal(value)
    if not number.is_finite() or number < 0 or number > 1_000_000:
        raise ValueError("is not a number from 0 to 1,000,000")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -9:
        raise ValueError("has more than 9 decimal places")
    return number


def _share(value: object) -> Decimal:
    share = _exact(value)
    if share > 100:
        raise ValueError("is above 100 per cent")
    return share


_Id = Annotated[str, AfterValidator(_id)]
_Text = Annotated[str, AfterValidator(_text)]
_SomeText = Annotated[str, AfterValidator(_text), AfterValidator(_not_empty)]
_Exact = Annotated[Decimal, BeforeValidator(_exact)]
_Share = Annotated[Decimal, BeforeValidator(_share)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _AreasModel(_Model):
    root: _Id
    root_name: _Text
    levels: list[_SomeText]
    publish_depth: int = Field(ge=0)


class _RoundingModel(_Model):
    method: Literal["half-up", "truncate", "largest-remainder"]
    places: int = Field(ge=0, le=ROUNDING_PLACES_MAX)


class _CandidateModel(_Model):
    id: _Id
    name: _Text
    party: _Text | None = None


class _ContestModel(_Model):
    id: _Id
    name: _Text
    seats: int = Field(ge=1, le=SEATS_MAX)
    rule: Literal["majority", "plurality"]
    majority_base: Literal["valid", "cast"] | None = None
    rounding: _RoundingModel
    candidates: list[_CandidateModel] = Field(min_length=1, max_length=CANDIDATES_MAX)


class _ExitPollModel(_Model):
    contest: _Id
    pollster: _Text
    publish_after: AwareDatetime
    shares: dict[_Id, _Share]


class _ChecksModel(_Model):
    A3_register_percent: _Exact = Decimal(102)
    P1_invalid_percent: _Exact = Decimal(3)
    P2_blank_percent: _Exact = Decimal(3)
    P5_turnout_percent: _Exact = Decimal(98)
    P6_votes_min: int = Field(default=100, ge=0, le=COUNT_MAX)
    P7_register_percent: _Exact = Decimal(10)
    P10_change_percent: _Exact = Decimal(20)
    Q7_skew_seconds: int = Field(default=300, ge=0, le=COUNT_MAX)


class _SkipModel(_Model):
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    reason: _SomeText
    authority: _SomeText


class _ElectionModel(_Model):
    id: _Id
    name: _Text
    phase: Literal["official", "test"]
    polls_close: AwareDatetime
    areas: _AreasModel
    contests: list[_ContestModel] = Field(min_length=1, max_length=CONTESTS_MAX)
    exit_polls: list[_ExitPollModel] = []
    checks: _ChecksModel = _ChecksModel()
    skip: list[_SkipModel] = []


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*=""")

_Path = tuple[str | int, ...]


def toml_lines(text: str) -> dict[_Path, int]:
    """Where tables and keys stand: path as in the parsed document → line, counted from 1."""
    lines: dict[_Path, int] = {(): 1}
    counts: dict[_Path, int] = {}
    table: _Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header and "=" not in header[2] and "," not in header[2]:
            path: _Path = ()
            names = [name.strip().strip("\"'") for name in header[2].split(".")]
            for position, name in enumerate(names):
                path = (*path, name)
                if position == len(names) - 1 and header[1] == "[[":
                    counts[path] = counts.get(path, -1) + 1
                if path in counts:
                    path = (*path, counts[path])
            table = path
            lines.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key:
            lines.setdefault((*table, key[1] or key[2] or key[3]), number)
    return lines


def _line_of(path: _Path, lines: dict[_Path, int]) -> int:
    while path not in lines:
        path = path[:-1]
    return lines[path]


def _path_text(path: _Path) -> str:
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


_SENTENCES = {"missing": "is missing", "extra_forbidden": "is not known here", "model_type": "is not a table"}


class _Toml:
    """election.toml while it is checked: the parsed document, its lines and the mistakes found."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: list[tuple[int, str]] = []
        self.document: dict[str, Any] = {}
        self.lines: dict[_Path, int] = {(): 1}
        self.model: _ElectionModel | None = None
        try:
            text = path.read_bytes().decode("utf-8")
        except OSError as error:
            self.errors.append((1, f"cannot be read: {error.strerror}"))
            return
        except UnicodeDecodeError as error:
            self.errors.append((1, f"is not UTF-8 (byte {error.start})"))
            return
        self.lines = toml_lines(text)
        try:
            self.document = tomllib.loads(text, parse_float=Decimal)
        except (tomllib.TOMLDecodeError, ArithmeticError, ValueError, RecursionError) as error:
            at = re.search(r"\(at line (\d+), column \d+\)", str(error))
            self.errors.append((int(at[1]) if at else 1, f"is not TOML: {error}"))
            return
        try:
            self.model = _ElectionModel.model_validate(self.document)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                where = tuple(part for part in item["loc"] if part != "[key]")
                sentence = _SENTENCES.get(item["type"]) or _plain(item["msg"])
                self.wrong(where, sentence)
        self._check_across()

    def wrong(self, path: _Path, what: str) -> None:
        self.errors.append((_line_of(path, self.lines), f"{_path_text(path)} {what}"))

    def _tables(self, *names: str) -> list[dict[str, Any]]:
        found = self.document
        for name in names:
            value = found.get(name) if isinstance(found, dict) else None
            found = value if value is not None else {}
        return [t for t in found if isinstance(t, dict)] if isinstance(found, list) else []

    def _check_across(self) -> None:
        """What two fields say together; on the raw document, so that one broken field hides no other mistake."""
        areas = self.document.get("areas")
        levels = areas.get("levels") if isinstance(areas, dict) else None
        if isinstance(areas, dict) and isinstance(levels, list):
            depth = areas.get("publish_depth")
            if isinstance(depth, int) and depth > len(levels):
                self.wrong(("areas", "publish_depth"), f"is {depth}, there are {len(levels)} levels")
            for name in _twice([x for x in levels if isinstance(x, str)]):
                self.wrong(("areas", "levels"), f"names {name!r} twice")
            for name in levels:
                if name in FIXED_COLUMNS:
                    self.wrong(("areas", "levels"), f"names {name!r}, a column of its own in stations.csv")
        candidates_of: dict[Any, set[Any]] = {}
        contests = self._tables("contests")
        for i, contest in enumerate(contests):
            rows = contest.get("candidates")
            ids = [c.get("id") for c in rows if isinstance(c, dict)] if isinstance(rows, list) else []
            if isinstance(contest.get("id"), str):
                if contest["id"] in candidates_of:
                    self.wrong(("contests", i, "id"), f"{contest['id']!r} occurs twice")
                candidates_of[contest["id"]] = {x for x in ids if isinstance(x, str)}
            for j, candidate in enumerate(ids):
                if isinstance(candidate, str) and candidate in ids[:j]:
                    self.wrong(("contests", i, "candidates", j, "id"), f"{candidate!r} occurs twice")
            if contest.get("rule") == "majority" and contest.get("majority_base") is None:
                self.wrong(("contests", i), "majority_base is missing (rule is majority)")
        for i, poll in enumerate(self._tables("exit_polls")):
            of = poll.get("contest")
            if isinstance(of, str) and of not in candidates_of:
                self.wrong(("exit_polls", i, "contest"), f"{of!r} is no contest")
            elif isinstance(of, str) and isinstance(poll.get("shares"), dict):
                for candidate in poll["shares"]:
                    if candidate not in candidates_of[of]:
                        self.wrong(("exit_polls", i, "shares"), f"name {candidate!r}, no candidate of {of}")
        places = [(s.get("partition"), s.get("offset")) for s in self._tables("skip")]
        for i, place in enumerate(places):
            if place in places[:i]:
                self.wrong(("skip", i), f"names partition {place[0]}, offset {place[1]} twice")


def _plain(message: str) -> str:
    for start in ("Value error, ", "Input should be "):
        if message.startswith(start):
            rest = message.removeprefix(start)
            return rest if start == "Value error, " else "should be " + rest
    return message[:1].lower() + message[1:]


def _twice(values: list[str]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1})


# -- stations.csv and areas.csv ------------------------------------------------------------------------------------


def _one_of(folder: Path, name: str) -> tuple[Path | None, str | None]:
    """`(path, mistake)` of a file that may be gzipped; both None where it is not there."""
    plain, packed = folder / name, folder / (name + ".gz")
    if plain.exists() and packed.exists():
        return None, f"{plain}:1: stands beside {packed.name}; one of them must go"
    return (plain if plain.exists() else packed if packed.exists() else None), None


class _Table:
    """A CSV file while it is checked."""

    def __init__(self, path: Path, errors: list[str]) -> None:
        self.path = path
        self.errors = errors
        self.line = 1

    def wrong(self, what: str) -> None:
        self.errors.append(f"{self.path}:{self.line}: {what}")

    def rows(self, columns: Iterable[str]) -> Iterable[list[str]]:
        """The rows as lists in the order of `columns`, whatever order the header has."""
        wanted = list(columns)
        try:
            with open_maybe_gzip(self.path) as raw:
                reader = csv_reader(raw)
                header = next(reader, [])
                if sorted(header) != sorted(wanted):
                    self.wrong(f"the header is {','.join(header)[:200]!r}, it should be {','.join(wanted)!r}")
                    return
                order = [header.index(name) for name in wanted]
                in_order = order == list(range(len(wanted)))
                for row in reader:
                    self.line = reader.line_num
                    if not row:
                        continue  # an empty line says nothing
                    if len(row) != len(wanted):
                        self.wrong(f"{len(row)} fields, the header has {len(wanted)}")
                        continue
                    yield row if in_order else [row[i] for i in order]
        except UnicodeDecodeError as error:
            self.line = self._line_not_utf8()
            self.wrong(f"not UTF-8 ({error.reason})")
        except csv.Error as error:
            self.line += 1  # the row that could not be read begins behind the last one that could
            self.wrong(f"not CSV: {error}")
        except (OSError, EOFError, zlib.error) as error:
            self.wrong(f"cannot be read: {getattr(error, 'strerror', None) or error}")

    def _line_not_utf8(self) -> int:
        """Text is decoded ahead of the rows, so the line has to be looked for."""
        number = 0
        with suppress(OSError, EOFError, zlib.error), open_maybe_gzip(self.path) as raw:
            for number, line in enumerate(raw, 1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    return number
        return number + 1  # of a packed file that was cut in this very line


def _read_count(text: str, name: str, wrong: Callable[[str], None]) -> int | None:
    if not is_count(text):
        wrong(f"{name} is {text[:80]!r}, not an integer from 0 to {COUNT_MAX} (empty: unknown)")
        return None
    return int(text) if text else None


def _read_stations(path: Path, levels: list[str], errors: list[str]) -> list[StationRow]:
    found = plain_stations(path, levels, STATIONS_MAX)
    return _read_stations_by_row(path, levels, errors) if found is None else found


def _read_stations_by_row(path: Path, levels: list[str], errors: list[str]) -> list[StationRow]:
    """The same rows, and every mistake."""
    table = _Table(path, errors)
    wrong = table.wrong
    found: list[StationRow] = []
    seen: set[str] = set()
    good_paths: dict[tuple[str, ...], tuple[str, ...]] = {}
    numbers: dict[int | None, int | None] = {}
    """One object for each: half a million stations have a few thousand different registers."""
    for row in table.rows((*FIXED_COLUMNS, *levels)):
        station_id, name = row[0], row[1]
        if not is_id(station_id):
            wrong(f"station_id {station_id[:80]!r} is not an id")
        elif station_id in seen:
            wrong(f"station_id {station_id} occurs twice")
        seen.add(station_id)
        mistake = text_error(name)
        if mistake:
            wrong(f"name {mistake}")
        area_path = tuple(row[4:])
        shared = good_paths.get(area_path)
        if shared is None:
            shared = area_path
            before = len(errors)
            for level, value in zip(levels, area_path, strict=True):
                mistake = level_error(value)
                if mistake:
                    wrong(f"{level} {mistake}")
            if len(errors) == before:
                good_paths[area_path] = area_path
        registered = _read_count(row[2], "registered", wrong)
        expected = _read_count(row[3], "ballots_expected", wrong)
        found.append(
            (station_id, name, numbers.setdefault(registered, registered), numbers.setdefault(expected, expected), shared)
        )
        if len(found) > STATIONS_MAX:
            wrong(f"more than {STATIONS_MAX} polling stations")
            break
    if not found and not errors:
        wrong("no polling stations")
    return found


def _read_area_names(path: Path, root: str, errors: list[str]) -> list[tuple[str, str]]:
    table = _Table(path, errors)
    found: dict[str, str] = {}
    for area, name in table.rows(("area", "name")):
        if area != root and not area.startswith(root + "/"):
            table.wrong(f"area {area[:80]!r} does not begin with the root {root}")
        if area in found:
            table.wrong(f"area {area[:80]!r} occurs twice")
        for value in area.split("/"):
            mistake = text_error(value) or ("has an empty level" if not value else None)
            if mistake:
                table.wrong(f"area {mistake}")
        mistake = text_error(name)
        if mistake:
            table.wrong(f"name {mistake}")
        found[area] = name
    return list(found.items())


# -- the whole folder ----------------------------------------------------------------------------------------------


@contextmanager
def _collector_off() -> Iterator[None]:
    """What is read here holds no circles, and looking for them in a million new objects again and again took a fifth of
    the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_collector_off()
def load_election(folder: Path) -> Election:
    """Read `election.toml`, `stations.csv[.gz]` and `areas.csv[.gz]`. Raises ElectionFolderError with all mistakes."""
    if not folder.is_dir():
        raise ElectionFolderError([f"{folder}:1: no such folder"])
    toml = _Toml(folder / "election.toml")
    errors = [f"{toml.path}:{line}: {what}" for line, what in sorted(toml.errors)]

    raw_areas = toml.document.get("areas")
    raw_levels = raw_areas.get("levels") if isinstance(raw_areas, dict) else None
    levels = [x for x in raw_levels if isinstance(x, str)] if isinstance(raw_levels, list) else None
    stations: list[StationRow] = []
    stations_path, mistake = _one_of(folder, "stations.csv")
    if mistake:
        errors.append(mistake)
    elif stations_path is None:
        errors.append(f"{folder / 'stations.csv'}:1: is missing")
    elif levels is not None:
        table_errors: list[str] = []
        stations = _read_stations(stations_path, levels, table_errors)
        errors += table_errors
    names: list[tuple[str, str]] = []
    names_path, mistake = _one_of(folder, "areas.csv")
    if mistake:
        errors.append(mistake)
    elif names_path is not None and isinstance(raw_areas, dict) and isinstance(raw_areas.get("root"), str):
        names = _read_area_names(names_path, raw_areas["root"], errors)

    if errors or toml.model is None:
        raise ElectionFolderError(_cut(errors))
    election = _build(toml.model, stations, names)
    if len(election.areas) > AREAS_MAX:
        errors.append(f"{toml.path}:{_line_of(('areas', 'publish_depth'), toml.lines)}: {len(election.areas)} published "
                      f"areas, at most {AREAS_MAX}; lower areas.publish_depth")  # fmt: skip
    widest = widest_partial_bytes(election)
    if widest > PARTIAL_MAX_BYTES:
        errors.append(f"{toml.path}:{_line_of(('areas', 'publish_depth'), toml.lines)}: a partial of the "
                      f"{len(election.leaf_areas)} deepest published areas could take {widest} bytes, at most "
                      f"{PARTIAL_MAX_BYTES} are sent; lower areas.publish_depth")  # fmt: skip
    if errors:
        raise ElectionFolderError(errors)
    return election


def election_day(folder: Path) -> date:
    """The day on which the polls close, where they close; of a folder that `load_election` accepted."""
    stated = tomllib.loads((folder / "election.toml").read_text(encoding="utf-8"))["polls_close"]
    return TypeAdapter(AwareDatetime).validate_python(stated).date()


def _cut(errors: list[str]) -> list[str]:
    if len(errors) <= FOLDER_ERRORS_SHOWN_MAX:
        return errors
    return [*errors[:FOLDER_ERRORS_SHOWN_MAX], f"… and {len(errors) - FOLDER_ERRORS_SHOWN_MAX} more mistakes"]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _milliseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(milliseconds=1)


def _build(m: _ElectionModel, stations: list[StationRow], names: list[tuple[str, str]]) -> Election:
    c = m.checks
    return build_election(
        id=m.id,
        name=m.name,
        phase=m.phase,
        polls_close_ms=_milliseconds(m.polls_close),
        root=m.areas.root,
        root_name=m.areas.root_name,
        levels=tuple(m.areas.levels),
        publish_depth=m.areas.publish_depth,
        contests=[
            Contest(
                k.id, k.name, k.seats, k.rule, k.majority_base or "valid", Rounding(k.rounding.method, k.rounding.places),
                tuple(Candidate(x.id, x.name, x.party) for x in k.candidates),
            )
            for k in m.contests
        ],
        exit_polls=[
            ExitPoll(p.contest, p.pollster, _milliseconds(p.publish_after), tuple(p.shares.items())) for p in m.exit_polls
        ],
        checks=Checks(
            Fraction(c.A3_register_percent), Fraction(c.P1_invalid_percent), Fraction(c.P2_blank_percent),
            Fraction(c.P5_turnout_percent), c.P6_votes_min, Fraction(c.P7_register_percent),
            Fraction(c.P10_change_percent), c.Q7_skew_seconds,
        ),
        skips=[Skip(s.partition, s.offset, s.reason, s.authority) for s in m.skip],
        area_names=names,
        stations=stations,
    )  # fmt: skip
