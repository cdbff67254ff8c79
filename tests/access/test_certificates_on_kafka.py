"""What SECURITY.md says of certificates: a program that runs keeps the one it read, the next one to start reads anew."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from pathlib import Path

import pytest

from tally_stream.kafka.client import TopicReader
from tally_stream.kafka.topics import create_topics
from tally_stream.settings import Settings
from tests.support.paths import ROOT
from tests.support.secured import MTLS, SETUP, KafkaSecured, settings_of

pytestmark = pytest.mark.kafka


async def test_a_certificate_is_read_once(kafka_secured: KafkaSecured, tmp_path: Path) -> None:
    for ending in ("pem", "key"):
        shutil.copy(kafka_secured.clients / f"{SETUP}.{ending}", tmp_path / f"mine.{ending}")
    files = {"certfile": str(tmp_path / "mine.pem"), "keyfile": str(tmp_path / "mine.key")}
    environment = kafka_secured.environment(SETUP, MTLS, **files) | {"TALLY_PREFIX": f"c{uuid.uuid4().hex[:8]}"}
    settings = settings_of(environment)
    await create_topics(settings, partitions=1, replication=1, is_log_append=True)
    async with TopicReader(settings, f"{settings.prefix}.reports") as reader:
        await asyncio.to_thread(shutil.rmtree, tmp_path)
        for connection in reader._consumer._client._conns.copy().values():  # noqa: SLF001  (as a broker that restarts does)
            connection.close()
        async with asyncio.timeout(30):
            assert await reader.bounds() == {0: (0, 0)}
    with pytest.raises(OSError, match="TALLY_SECURITY_CERTFILE"):
        TopicReader(settings, f"{settings.prefix}.reports")


def test_the_page_names_the_ports_that_programs_listen_on() -> None:
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    settings = Settings()
    assert f"| `worker` | `{settings.metrics_host}:{settings.metrics_port}`" in page
    assert f"| `board` | `{settings.board_host}:{settings.board_port}`" in page
    assert f"| `intake` | `{settings.intake_host}:{settings.intake_port}`" in page
    # Nothing has a port that the table leaves out.
    ports = [name for name in Settings.model_fields if name.endswith("_port")]
    named = [name for name in ports if f"TALLY_{name.upper()}" in page]
    assert sorted({*ports} - {*named}) == ["dump_metrics_port"], "which stands there as the flag that it is"
    assert "`--metrics-port`" in page
