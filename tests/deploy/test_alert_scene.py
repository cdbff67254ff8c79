"""One scene of `make alerts`, on a real Kafka, with Debian's own Prometheus: all workers are frozen, and somebody is told.

That is what once rang for nobody: every series was stale, and the largest of none is nothing.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tally_stream.metrics import METRICS, PROCESS_METRICS
from tests.deploy.watched import KNOWN_WITHIN_SECONDS, freeze, thaw, watched
from tests.support.processes import settings_for

pytestmark = pytest.mark.kafka


def test_all_workers_frozen_ring_within_45_seconds_and_no_longer_once_they_thaw(kafka_one: Any, tmp_path: Path) -> None:
    settings = settings_for(kafka_one.bootstrap, f"a{uuid.uuid4().hex[:8]}")
    with watched(kafka_one, settings, tmp_path, is_whole=False) as night:
        families = {f.name for f in text_string_to_metric_families(night.publisher().get("/metrics")[1])}
        assert families == {m.name.removesuffix("_total") for m in (*METRICS, *PROCESS_METRICS)}
        night.wait_calm()
        pids, since = night.pids(), time.monotonic()
        freeze(*pids)
        try:
            night.rings("TallyWorkersDown", since)
            night.rings("TallyStandingsSilent", since, KNOWN_WITHIN_SECONDS - (time.monotonic() - since))
            (alert,) = [one for one in night.prometheus.alerts() if one["labels"]["alertname"] == "TallyStandingsSilent"]
            assert alert["labels"]["severity"] == "critical"
            assert alert["annotations"]["runbook_url"] == "https://count.example/docs/runbook.md#tallystandingssilent"
        finally:
            thaw(*pids)
        cured = time.monotonic()
        for name in ("TallyStandingsSilent", "TallyWorkersDown", "TallyNoPublisher", "TallyPartitionUncounted"):
            night.is_over(name, cured)
