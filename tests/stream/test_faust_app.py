"""The Faust app of a worker: its settings, and that whatever ends by itself ends the worker. Without a broker."""
# ruff: noqa: SLF001  (the overrides of Faust's private hooks are what is tested)

import asyncio
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust import streams

from tally_stream.stream.fatal import fatal
from tally_stream.stream.faust import app as app_module
from tally_stream.stream.faust.app import guarded, run_topic, run_worker
from tally_stream.stream.faust.consumer import RunConsumer
from tally_stream.stream.faust.left_out import NoTables, SlimMonitor
from tally_stream.stream.faust.settings import app_settings
from tally_stream.stream.faust.transport import make_transport
from tests.stream.unstarted import NOWHERE, P0, TOPIC, NoPositions


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


async def test_a_stop_drains_what_is_assigned_before_faust_ends_the_agents(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[object] = []

    async def drain(partitions: set[object]) -> None:
        order.append(partitions)

    async def on_stop(self: Any) -> None:
        order.append("faust")

    monkeypatch.setattr(faust.App, "on_stop", on_stop)
    consumer.drain, consumer.assignment = drain, lambda: {P0}
    await consumer.app.on_stop()
    assert order == [{P0}, "faust"]


async def test_a_stop_that_hangs_is_fatal(consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def stop(self: Any) -> None:
        await told.wait()

    monkeypatch.setattr(faust.App, "stop", stop)
    monkeypatch.setattr(app_module, "STOP_SECONDS", 0.01)
    consumer.transport._on_fatal = lambda reason: loop.call_soon_threadsafe(told.set)
    async with asyncio.timeout(5):
        await consumer.app.stop()
    assert consumer.transport.failure == "did not stop within 0 s"


class App:
    """As much of a Faust app as `run_worker` asks for; it starts, and runs until it is stopped."""

    def __init__(self) -> None:
        self.transport = SimpleNamespace(fail=lambda reason, error: self.reasons.append(reason))
        self.reasons: list[str] = []
        self.crashed, self.crash_reason = False, None
        self.is_stopped = False
        self.start_error: Exception | None = None
        self.ended = asyncio.Event()

    async def start(self) -> None:
        if self.start_error is not None:
            raise self.start_error

    async def wait_until_stopped(self) -> None:
        await self.ended.wait()

    async def stop(self) -> None:
        self.is_stopped = True


async def test_it_runs_until_it_is_told_to_stop() -> None:
    app, stop = App(), asyncio.Event()
    running = asyncio.create_task(run_worker(app, stop))  # type: ignore[arg-type]
    await asyncio.wait([running], timeout=0.01)
    assert not running.done()
    stop.set()
    await running
    assert app.is_stopped
    assert app.reasons == []


async def test_a_start_that_fails_is_fatal_and_stopped() -> None:
    app = App()
    app.start_error = OSError("no broker")
    await run_worker(app, asyncio.Event())  # type: ignore[arg-type]
    assert app.reasons == ["could not start: OSError('no broker')"]
    assert app.is_stopped


async def test_a_crash_is_fatal() -> None:
    app = App()
    app.crashed, app.crash_reason = True, KeyError("planted")  # type: ignore[assignment]
    app.ended.set()
    await run_worker(app, asyncio.Event())  # type: ignore[arg-type]
    assert app.reasons == ["crashed: KeyError('planted')"]
    assert app.is_stopped


def test_fatal_is_one_line_and_an_exit_code() -> None:
    program = f"from {fatal.__module__} import fatal\ntry:\n fatal('a\\nb', 'worker-2 {{}}'.format)\nfinally:\n print('never')"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines()[-1] == "worker-2 fatal: a b"
