"""The spool's figures as a file for node_exporter: whole, without the process's own figures, and nothing waits for it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from click import unstyle
from cryptography import x509

from deploy.kafka.local.certificates import Authority
from tally_stream.cli.submit_watched import watch_of
from tally_stream.metrics import SPOOL_METRICS, read_samples
from tally_stream.settings import SettingsError, load_settings
from tally_stream.station.signing_key import make_key_file
from tally_stream.station.spool import SpoolFigures
from tests.support.report_messages import ELECTION
from tests.support.signing import signing_key

FIGURES = SpoolFigures(2, 1_700_000_000_250, {"unsent": 1, "held": 3})
OURS = {"election": ELECTION.id, "topic": "tally.reports"}


def samples(path: Path) -> dict[str, list[tuple[dict[str, str], float]]]:
    return read_samples(path.read_text())


def test_the_figures_stand_there_with_whose_they_are_and_nothing_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "tally.prom"
    watch = watch_of(load_settings(spool_metrics_file=str(path)), ELECTION)
    watch(FIGURES)
    found = samples(path)
    assert found.keys() == {metric.name for metric in SPOOL_METRICS} - {"tally_spool_credential_ends_timestamp_seconds"}
    assert found["tally_spool_unsent_statements"] == [(OURS, 2.0)]
    assert found["tally_spool_oldest_unsent_timestamp_seconds"] == [(OURS, 1_700_000_000.25)]
    states = {labels["state"]: value for labels, value in found["tally_spool_newest_statements"]}
    assert states == {"unsent": 1, "waiting": 0, "counted": 0, "held": 3, "rejected": 0, "stale": 0, "conflicting": 0}
    watch(SpoolFigures(0, None, {}))
    assert samples(path)["tally_spool_oldest_unsent_timestamp_seconds"] == [(OURS, 0.0)], "there, or an alert would not end"
    assert list(tmp_path.iterdir()) == [path], "it is written beside, then put in its place"


def test_the_same_figures_are_written_anew_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clock = tmp_path / "tally.prom", [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    watch = watch_of(load_settings(spool_metrics_file=str(path)), ELECTION)

    def file_after(figures: SpoolFigures, seconds: float) -> int:
        clock[0] += seconds
        watch(figures)
        return path.stat().st_ino

    first = file_after(FIGURES, 0)
    assert file_after(FIGURES, 19.9) == first
    assert (again := file_after(FIGURES, 0.1)) != first
    assert file_after(replace(FIGURES, unsent_count=1), 0) != again


def test_a_file_that_cannot_be_written_is_told_once_and_keeps_nothing_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gone" / "tally.prom"
    watch = watch_of(load_settings(spool_metrics_file=str(path)), ELECTION)
    watch(FIGURES)
    watch(FIGURES)
    said = " ".join(unstyle(capsys.readouterr().err).split())
    assert said.count("TALLY_SPOOL_METRICS_FILE") == 1
    assert f"{path}: No such file or directory: the spool's figures are not written, its statements are sent as ever" in said


def test_a_name_that_node_exporter_does_not_read_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"TALLY_SPOOL_METRICS_FILE: x.txt does not end with .prom"):
        load_settings(spool_metrics_file="x.txt")


def test_when_certificates_and_the_signing_key_end_is_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca.pem", "an authority")
    for name in ("kafka", "intake"):
        authority.issue(tmp_path / f"{name}.pem", "station")
    private = make_key_file(tmp_path / "station.key", None)
    ours = replace(
        signing_key("K", "A-1", {"report"}, valid_to_ms=1_800_000_000_000), public_key=private.public_key().public_bytes_raw()
    )
    election = replace(ELECTION, signatures="required", keys={"K": ours})
    settings = load_settings(
        spool_metrics_file=str(tmp_path / "tally.prom"), security_protocol="SSL",
        security_certfile=str(tmp_path / "kafka.pem"), security_keyfile=str(tmp_path / "kafka.key"),
        intake_url="https://intake.example", intake_certfile=str(tmp_path / "intake.pem"),
        intake_keyfile=str(tmp_path / "intake.key"), signing_key=str(tmp_path / "station.key"),
    )  # fmt: skip
    watch_of(settings, election)(FIGURES)
    found = samples(tmp_path / "tally.prom")["tally_spool_credential_ends_timestamp_seconds"]
    ends = {labels["what"]: value for labels, value in found}
    assert ends.keys() == {"kafka-certificate", "intake-certificate", "signing-key"}
    assert ends["signing-key"] == 1_800_000_000
    certificate = x509.load_pem_x509_certificate((tmp_path / "kafka.pem").read_bytes())
    assert ends["kafka-certificate"] == ends["intake-certificate"] == certificate.not_valid_after_utc.timestamp()
