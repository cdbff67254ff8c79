"""What the tests of this room share."""

import pytest

from tally_stream.stream.faust.app import RunApp
from tally_stream.stream.faust.consumer import RunConsumer
from tally_stream.stream.faust.settings import app_settings
from tally_stream.stream.faust.transport import make_transport
from tests.stream.unstarted import NOWHERE, TOPIC, NoPositions


@pytest.fixture
async def consumer() -> RunConsumer:
    """One that is never started (`unstarted.py`). Reasons to end are kept in its transport's `reasons`."""
    app = RunApp(**app_settings("group", NOWHERE, instance_id="one"))
    reasons: list[str] = []
    transport = make_transport(
        app, NoPositions(), frozenset({TOPIC}), zero_start_topics=frozenset({TOPIC}), on_fatal=reasons.append
    )
    transport.reasons = reasons
    return app.consumer
