"""The intake over TLS: a station is known by its certificate, and nobody by one that another authority signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.kafka.local.certificates import Authority
from tally_stream.settings import Settings, load_settings
from tally_stream.station.intake.sending import IntakeTransport
from tally_stream.station.intake.server import Intake
from tally_stream.station.transport import NotSent, NotTaken
from tests.support.report_messages import ELECTION, as_bytes, counts
from tests.support.topic_of_lists import TopicOfLists

NOBODY = "127.0.0.1:1"


def issued(authority: Authority, folder: Path, name: str, *hosts: str) -> tuple[str, str]:
    certificate = folder / f"{name}.crt"
    return str(certificate), str(authority.issue(certificate, name, hosts=hosts))


def client(address: str, authority: Path, pair: tuple[str, str] | None = None) -> Settings:
    own = {} if pair is None else {"intake_certfile": pair[0], "intake_keyfile": pair[1]}
    return load_settings(**{"intake_url": address, "intake_cafile": str(authority)} | own)


async def test_a_certificate_speaks_for_the_station_that_it_names(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path / "ours.crt", "ours"), Authority(tmp_path / "others.crt", "others")
    pair = issued(ours, tmp_path, "intake", "localhost", "127.0.0.1")
    topic = TopicOfLists()
    settings = load_settings(
        bootstrap=NOBODY,
        intake_port=0,
        intake_certfile=pair[0],
        intake_keyfile=pair[1],
        intake_cafile=str(tmp_path / "ours.crt"),
    )
    async with Intake(settings, ELECTION, print, topic) as served:
        assert served.address.startswith("https://127.0.0.1:")

        async def send(settings: Settings) -> tuple[int, int]:
            transport = IntakeTransport(settings)
            try:
                return await transport.send(b"A-1", as_bytes(counts()))
            finally:
                await transport.close()

        await send(client(served.address, tmp_path / "ours.crt", issued(ours, tmp_path, "A-1")))
        with pytest.raises(NotTaken, match="who calls may not speak for station A-1"):
            await send(client(served.address, tmp_path / "ours.crt", issued(ours, tmp_path, "B-1")))
        with pytest.raises(NotTaken, match="give the token of your station"):
            await send(client(served.address, tmp_path / "ours.crt", issued(ours, tmp_path, "NONE")))
        with pytest.raises(NotTaken, match="give the token of your station"):
            await send(client(served.address, tmp_path / "ours.crt"))
        with pytest.raises(NotSent):
            await send(client(served.address, tmp_path / "ours.crt", issued(others, tmp_path, "A-1")))
        with pytest.raises(NotTaken, match="its certificate is not trusted: TALLY_INTAKE_CAFILE"):
            await send(client(served.address, tmp_path / "others.crt"))
    assert topic.values == [as_bytes(counts())]
