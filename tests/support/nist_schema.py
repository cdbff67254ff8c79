"""NIST's schema as validators read it, and all that is wrong with a report, by the schema and by our own checks."""

from __future__ import annotations

import json
from typing import Any

from jsonschema_rs import Draft4Validator

from tally_stream.export.nist_checks import nist_problems
from tests.support.paths import ROOT

NIST = ROOT / "tests" / "export" / "nist-err-v2"
SCHEMA = NIST / "NIST_V2_election_results_reporting.json"
VALIDATOR = Draft4Validator(json.loads(SCHEMA.read_text()), validate_formats=True)
WITHOUT_FORMATS = Draft4Validator(json.loads(SCHEMA.read_text()), validate_formats=False)
"""As most validators read a schema."""


def errors(report: dict[str, Any]) -> list[str]:
    """Of the schema and of our own checks."""
    return [f"{e.instance_path}: {e.message}" for e in VALIDATOR.iter_errors(report)] + nist_problems(report)
