"""The Faust app of a worker: its settings, and that whatever ends by itself ends the worker. Without a broker."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from faust import streams

from tally_stream.stream.fatal import fatal
from tally_stream.stream.faust.app import guarded, run_topic
from tally_stream.stream.faust.consumer import RunConsumer
from tally_stream.stream.faust.left_out import NoTables, SlimMonitor
from tally_stream.stream.faust.settings import app_settings
from tally_stream.stream.faust.transport import make_transport
from tests.stream.unstarted import NOWHERE, TOPIC, NoPositions


def test_settings_mean_to_faust_what_they_say(consumer: RunConsumer) -> None:
    conf = consumer.app.conf
    assert conf.id == "group"
    assert [str(url) for url in conf.broker_consumer] == [f"kafka://{NOWHERE}"]
    assert (conf.broker_session_timeout, conf.broker_heartbeat_interval) == (10.0, 3.0)
    assert conf.consumer_group_instance_id == "one"
    assert conf.consumer_auto_offset_reset == "none"
    assert not conf.stream_wait_empty
    assert not conf.topic_allow_declare
    assert conf.topic_disable_leader
    assert 8 <= conf.stream_buffer_maxsize <= 16
    assert conf.broker_rebalance_timeout < conf.broker_request_timeout
    assert type(consumer.app.monitor) is SlimMonitor


def test_several_bootstrap_addresses(consumer: RunConsumer) -> None:
    settings = app_settings("group", "a:1, b:2", instance_id=None)
    assert settings["broker"] == ["kafka://a:1", "kafka://b:2"]


def test_nothing_listens(consumer: RunConsumer) -> None:
    assert list(consumer.app.boot_strategy.web_server()) == []


async def test_nothing_is_subscribed_before_what_acts_on_an_assignment_has_started(consumer: RunConsumer) -> None:
    tables = consumer.app.tables
    assert isinstance(tables, NoTables)
    order: list[str] = []

    async def note(what: str) -> None:
        order.append(what)

    tables.recovery.start = lambda: note("recovery")
    tables._update_channels = lambda: note("channels")
    async with asyncio.timeout(0.5):
        await tables.on_start()
    assert order == ["recovery", "channels"]


def test_without_the_compiled_iterator_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_CStreamIterator", None)
    with pytest.raises(RuntimeError, match="NO_CYTHON"):
        make_transport(object(), NoPositions(), frozenset())


def test_a_run_passes_the_schema_undecoded(consumer: RunConsumer) -> None:
    topic = run_topic(consumer.app, TOPIC)
    run = object()
    message = SimpleNamespace(key=None, value=run)
    assert topic.schema.loads_value(consumer.app, message, loads=None) is run
    assert topic.schema.loads_key(consumer.app, message, loads=None) is None


async def run_guarded(body: Any, *, stopping: bool = False) -> list[str]:
    reasons: list[str] = []
    app = SimpleNamespace(should_stop=stopping, transport=SimpleNamespace(fail=reasons.append))
    await guarded(body)(SimpleNamespace(app=app))
    return reasons


async def test_an_agent_that_raises_is_fatal() -> None:
    async def body(_: Any) -> None:
        raise KeyError("x")

    assert await run_guarded(body) == ["agent body failed: KeyError('x')"]


async def test_the_line_names_the_place_of_the_innermost_cause_and_the_log_has_the_trace(
    consumer: RunConsumer, caplog: pytest.LogCaptureFixture
) -> None:
    def planted() -> None:
        raise KeyError(3)

    async def body(_: Any) -> None:
        try:
            planted()
        except KeyError as error:
            raise RuntimeError("of a record") from error

    line = planted.__code__.co_firstlineno + 1
    app = SimpleNamespace(should_stop=False, transport=consumer.transport)
    await guarded(body)(SimpleNamespace(app=app))
    place = f"tests/stream/test_faust_app.py:{line}"
    assert consumer.transport.reasons == [f"agent body failed: RuntimeError('of a record') ({place})"]
    (entry,) = caplog.records
    assert entry.exc_info is not None
    assert isinstance(entry.exc_info[1], RuntimeError)


async def test_a_reason_without_an_error_is_as_it_was_given(consumer: RunConsumer) -> None:
    consumer.transport.fail("the session is over")
    assert consumer.transport.reasons == ["the session is over"]


async def test_an_agent_that_ends_is_fatal_unless_the_app_stops() -> None:
    async def body(_: Any) -> None: ...

    assert await run_guarded(body) == ["agent body ended by itself"]
    assert await run_guarded(body, stopping=True) == []


async def test_a_cancelled_agent_is_not_a_failure() -> None:
    async def body(_: Any) -> None:
        await asyncio.get_running_loop().create_future()

    reasons = asyncio.create_task(run_guarded(body))
    await asyncio.wait([reasons], timeout=0.01)
    reasons.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reasons


def test_fatal_is_one_line_and_an_exit_code() -> None:
    program = f"from {fatal.__module__} import fatal\ntry:\n fatal('a\\nb', 'process 2: ')\nfinally:\n print('never')"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines()[-1] == "tally-stream: process 2: fatal: a b"
