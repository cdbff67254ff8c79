"""The dashboards are what their script says, ask only for what is exposed, and fit Grafana's own types. No Grafana runs here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana import generate
from tally_stream.metrics import ALL_NAMES, METRICS, PROGRAMS
from tests.deploy.files import PROMETHEUS, program, recorded, services
from tests.support.paths import ROOT

GRAFANA = ROOT / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
UNITS = {"none", "short", "s", "percentunit", "reqps", "bytes"}
"""Grafana's own ids of units; `none` is a plain figure."""


def panels(path: Path) -> list[dict[str, Any]]:
    found = [panel for panel in json.loads(path.read_text(encoding="utf-8"))["panels"] if panel["type"] != "row"]
    assert found
    return found


def expressions() -> list[str]:
    return [target["expr"] for path in FILES for panel in panels(path) for target in panel["targets"]]


def test_they_are_what_the_script_says_and_the_check_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = str(GRAFANA / "generate.py")
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    (tmp_path / "old.json").write_text("{}")
    assert generate.stale() == ["night", "old", "pipeline"]


def test_there_are_two_the_night_and_the_pipeline() -> None:
    assert [path.stem for path in FILES] == ["night", "pipeline"]


def test_every_metric_that_a_panel_names_exists() -> None:
    """Those that are only in recording rules among them."""
    names = {n for text in expressions() for n in re.findall(r"\b(?:tally|process)_\w+|\btally:[\w:]+", text)}
    histograms = {f"{m.name}_{end}" for m in METRICS if m.kind == "histogram" for end in ("bucket", "count", "sum")}
    assert len(names) > 30
    assert names - ALL_NAMES - recorded() - histograms == set()


def test_every_label_that_a_panel_writes_is_one_that_it_has() -> None:
    labels = {label for metrics in PROGRAMS.values() for metric in metrics for label in metric.labels} | {"instance"}
    legends = [target["legendFormat"] for path in FILES for panel in panels(path) for target in panel["targets"]]
    assert {label for legend in legends for label in re.findall(r"{{(\w+)}}", legend)} <= labels


def test_prometheus_reads_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"a:b:c{number}", "expr": expr} for number, expr in enumerate(expressions())]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    judged = subprocess.run([program("promtool"), "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_panel_has_a_title_of_its_own_a_meaning_and_a_unit(path: Path) -> None:
    found = panels(path)
    titles = [panel["title"] for panel in found]
    assert len(set(titles)) == len(titles)
    for panel in found:
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["targets"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_fits_grafana_s_own_types_and_no_panel_lies_on_another(path: Path) -> None:
    read = json.loads(path.read_text(encoding="utf-8"))
    again = json.loads(json.dumps(Dashboard.from_json(read), cls=JSONEncoder))
    assert again == read, "a field that the types do not know is lost on the way"
    ids = [panel["id"] for panel in read["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for at in (panel["gridPos"] for panel in read["panels"]):
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells
        taken |= cells


def test_provisioning_names_the_source_that_panels_ask_and_the_folder_that_compose_mounts() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    assert {panel["datasource"]["uid"] for path in FILES for panel in panels(path)} == {sources[0]["uid"]}
    providers = yaml.safe_load((GRAFANA / "provisioning/dashboards/tally.yml").read_text(encoding="utf-8"))["providers"]
    mounts = [str(volume) for volume in services()["grafana"]["volumes"]]
    assert f"./deploy/grafana/dashboards:{providers[0]['options']['path']}:ro" in mounts
    assert "./deploy/grafana/provisioning:/etc/grafana/provisioning:ro" in mounts
    assert sources[0]["url"] == "http://prometheus:9090"
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    assert sources[0]["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]
