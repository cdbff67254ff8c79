"""What election.toml may say, field by field, as pydantic checks it.

Decides names, types and limits of single fields. Refuses to know lines, and what two fields say together: `toml.py`
names the first and checks the second. Read next: `toml.py`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from tally_stream.domain.contest import (
    ContestRule,
    MajorityBase,
    QuorumOf,
    RoundingMethod,
    SeatMethod,
    SeatTie,
    ThresholdBase,
)
from tally_stream.domain.election import Signatures
from tally_stream.domain.scalars import COUNT_MAX, is_id
from tally_stream.wire.folder.table import not_an_id, text_mistake
from tally_stream.wire.limits import (
    BOUND_REGISTER_PERCENT_MAX,
    CANDIDATES_MAX,
    CONTEST_NAME_MAX_CODE_POINTS,
    ROUNDING_PLACES_MAX,
    SEATS_MAX,
)


def _id(value: str) -> str:
    if not is_id(value):
        raise ValueError(not_an_id(value))
    return value


def _text(value: str) -> str:
    wrong = text_mistake(value)
    if wrong is not None:
        raise ValueError(wrong)
    return value


def _contest_name(value: str) -> str:
    wrong = text_mistake(value, CONTEST_NAME_MAX_CODE_POINTS)
    if wrong is not None:
        raise ValueError(wrong)
    return value


def _not_empty(value: str) -> str:
    if not value:
        raise ValueError("is empty")
    return value


def _group(value: str) -> str:
    """A group has an address of its own on the board, where these would be another's."""
    if value in (".", ".."):
        raise ValueError("is . or ..")
    return _not_empty(value)


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


def is_color(value: str) -> bool:
    return _COLOR.match(value) is not None


def _color(value: str) -> str:
    if not is_color(value):
        raise ValueError("is no color (# and six hexadecimal digits)")
    return value


def _bound(value: object) -> Decimal:
    percent = _exact(value)
    if percent > BOUND_REGISTER_PERCENT_MAX:
        raise ValueError(f"is {percent}, at most {BOUND_REGISTER_PERCENT_MAX}")
    return percent


def _share(value: object) -> Decimal:
    share = _exact(value)
    if share > 100:
        raise ValueError("is above 100 per cent")
    return share


_COLOR = re.compile(r"#[0-9A-Fa-f]{6}\Z", re.ASCII)

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
    method: RoundingMethod
    places: int = Field(ge=0, le=ROUNDING_PLACES_MAX)


class _CandidateModel(_Model):
    id: _Id
    name: _Text
    party: _Text | None = None
    color: Annotated[str, AfterValidator(_color)] | None = None
    eligible: bool = True


class _MajorityModel(_Model):
    percent: _Share = Decimal(50)
    at_least: bool = False
    or_percent: _Share | None = None
    or_lead_percent: _Share | None = None


class _AllocationModel(_Model):
    method: SeatMethod
    threshold_percent: _Share = Decimal(0)
    threshold_base: ThresholdBase = "valid"
    exempt: list[str] = []
    tie: SeatTie = "nobody"


class _QuorumModel(_Model):
    percent: _Share
    of: QuorumOf
    more_than: bool = False


class _DoubleMajorityModel(_Model):
    level: str
    half: list[str] = []


class ContestModel(_Model):
    """`candidates` and `scope` are None where the contest leaves them to the tables (candidates.csv, scopes.csv)."""

    id: _Id
    name: Annotated[str, AfterValidator(_contest_name)]
    seats: int = Field(default=1, ge=1, le=SEATS_MAX)
    rule: ContestRule
    votes_per_ballot: int = Field(default=1, ge=1)
    group: Annotated[str, AfterValidator(_text), AfterValidator(_group)] | None = None
    majority_base: MajorityBase | None = None
    majority: _MajorityModel | None = None
    allocation: _AllocationModel | None = None
    combinations: list[list[str]] = []
    approval: str | None = None
    quorum: _QuorumModel | None = None
    double_majority: _DoubleMajorityModel | None = None
    rounding: _RoundingModel
    scope: list[str] | None = None
    candidates: Annotated[list[_CandidateModel], Field(min_length=1, max_length=CANDIDATES_MAX)] | None = None


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
    bound_register_percent: Annotated[Decimal, BeforeValidator(_bound)] = Decimal(150)


class _SkipModel(_Model):
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    reason: _SomeText
    authority: _SomeText


class _SecurityModel(_Model):
    signatures: Signatures


class ElectionModel(_Model):
    id: _Id
    name: _Text
    phase: Literal["official", "test"]
    polls_close: AwareDatetime
    areas: _AreasModel
    contests: list[dict[str, Any]] = []
    """Each of them is a `ContestModel` once [contest_defaults] and the tables have filled it (`contests.py`)."""
    contest_defaults: dict[str, Any] = {}
    exit_polls: list[_ExitPollModel] = []
    checks: _ChecksModel = _ChecksModel()
    security: _SecurityModel | None = None
    skip: list[_SkipModel] = []
