"""What `stream/faust/` assumes of Faust, mode and aiokafka, by name and by what their code does.

An upgrade of any of the three fails here first, and says which name is gone or changed.
"""
# ruff: noqa: SLF001  (the private names that the worker relies on are what is tested)

import importlib
import importlib.metadata
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from faust import streams
from faust.tables.manager import TableManager
from faust.transport.consumer import Consumer

from tally_stream.stream.faust.app import RunApp, RunSchema
from tally_stream.stream.faust.client import RunClient
from tally_stream.stream.faust.consumer import RunConsumer
from tally_stream.stream.faust.left_out import NoTables, SlimMonitor
from tally_stream.stream.faust.membership import InformedAssignor
from tally_stream.stream.faust.producer import RunProducer
from tests.stream.relied_on import PINNED, RELIED_ON, RELIED_ON_ATTRIBUTES


def resolve(path: str) -> Any:
    module, _, qualified = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in filter(None, qualified.split(".")):
        found = getattr(found, name)
    return found


def bare_signature(function: Any) -> str:
    """The parameters without annotations; a default is shown by its name where it has one."""
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        default = parameter.default
        if inspect.isbuiltin(default) or inspect.isfunction(default):
            default = type("Named", (), {"__repr__": lambda _, name=default.__name__: name})()
        parameters.append(parameter.replace(annotation=inspect.Parameter.empty, default=default))
    return str(inspect.Signature(parameters))


@pytest.mark.parametrize("package", PINNED)
def test_the_versions_are_the_ones_written_against(package: str) -> None:
    assert importlib.metadata.version(package) == PINNED[package]


@pytest.mark.parametrize("path", RELIED_ON)
def test_a_name_still_has_its_signature(path: str) -> None:
    assert bare_signature(resolve(path)) == RELIED_ON[path]


@pytest.mark.parametrize(
    ("path", "attribute"),
    [(path, attribute) for path, names in RELIED_ON_ATTRIBUTES.items() for attribute in names],
)
def test_an_attribute_is_still_there(path: str, attribute: str) -> None:
    owner = resolve(path)
    owners = owner.__mro__[:-1] if inspect.isclass(owner) else [owner]
    assert any(attribute in inspect.getsource(one) for one in owners if one is not object)


def overridden() -> Iterator[tuple[str, str]]:
    ours = (
        RunConsumer,
        RunClient,
        RunProducer,
        RunSchema,
        RunApp,
        InformedAssignor,
        SlimMonitor,
        NoTables,
    )
    listed = {path.rpartition(".")[2] for path in RELIED_ON}
    for cls in ours:
        for name, value in vars(cls).items():
            if callable(value) and not name.startswith("__") and any(hasattr(base, name) for base in cls.__mro__[1:]):
                yield f"{cls.__name__}.{name}", name if name in listed else ""


@pytest.mark.parametrize(("where", "listed"), list(overridden()))
def test_every_override_is_listed(where: str, listed: str) -> None:
    assert listed or where.startswith("SlimMonitor"), f"{where} overrides a name that RELIED_ON does not have"


def test_faust_s_table_manager_does_at_its_start_what_ours_does_and_sleeps() -> None:
    source = inspect.getsource(TableManager.on_start)
    assert re.findall(r"await (.+)", source) == ["self.sleep(1.0)", "self._update_channels()", "self.recovery.start()"]
    assert "_tables_finalized.set()" in inspect.getsource(TableManager._update_channels)


def test_the_compiled_stream_iterator_is_in_use() -> None:
    """The one in plain Python acknowledges events that it skips; the compiled one does not."""
    assert streams._CStreamIterator is not None
    assert "streams" in streams._CStreamIterator.__module__


def test_heartbeats_and_joins_go_through_the_names_we_replace() -> None:
    assert "await self._do_heartbeat()" in inspect.getsource(GroupCoordinator._heartbeat_routine)
    assert "await self._do_rejoin_group(subscription)" in inspect.getsource(GroupCoordinator.ensure_active_group)
    for told_so in (CoordinatorGroupRebalance.perform_group_join, CoordinatorGroupRebalance._send_sync_group_request):
        assert "raise Errors.KafkaError(repr(err))" in inspect.getsource(told_so)
    assert "await self._on_join_complete(" in inspect.getsource(GroupCoordinator._do_rejoin_group)
    assert "self._do_commit_offsets(assignment, offsets)" in inspect.getsource(GroupCoordinator.commit_offsets)
    assert "self._coordinator = GroupCoordinator(" in inspect.getsource(AIOKafkaConsumer.start)


def test_fetches_and_hand_overs_go_through_the_names_we_replace() -> None:
    assert "self._proc_fetch_request(assignment, node_id, request)" in inspect.getsource(Fetcher._fetch_requests_routine)
    draining = "".join(inspect.getsource(Consumer._drain_messages).split())
    assert "awaitself.wait_first(callback(message),self.suspend_flow.wait())" in draining


def test_heartbeats_rest_exactly_while_a_join_is_prepared() -> None:
    source = inspect.getsource(GroupCoordinator.ensure_active_group)
    order = ["self._performed_join_prepare = True", "_stop_heartbeat_task()", "_do_rejoin_group("]
    order += ["self._performed_join_prepare = False", "_start_heartbeat_task()"]
    places = [source.index(step) for step in order]
    assert places == sorted(places)


def test_faust_commits_what_new_offset_says_for_partitions_in_acked() -> None:
    assert "for tp in self._acked" in inspect.getsource(Consumer._filter_tps_with_pending_acks)
    assert "self._new_offset(tp)" in inspect.getsource(Consumer._filter_committable_offsets)


def test_faust_still_notes_a_refused_commit_as_done() -> None:
    """If this fails, `_commit_offsets` may be needed no longer."""
    source = inspect.getsource(Consumer._commit_offsets)
    assert source.index("did_commit = await self._commit(") < source.index("self._committed_offset.update(")


def test_our_task_runs_beside_faust_s_own() -> None:
    assert {"_watch", "_commit_handler"} <= RunConsumer._tasks[RunConsumer._get_class_id()]


def test_the_plan_is_asked_for_by_the_names_we_replace() -> None:
    assert "assignor.metadata(topics)" in inspect.getsource(CoordinatorGroupRebalance.perform_group_join)
    planning = inspect.getsource(GroupCoordinator._perform_assignment)
    assert "assignor.assign(self._cluster, member_metadata)" in planning
    assert "assignor.on_assignment(assignment)" in inspect.getsource(GroupCoordinator._on_join_complete)
