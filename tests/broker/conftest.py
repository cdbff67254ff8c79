"""`broker`: whichever of the three a contract test is run with."""

import pytest

from tests.support.brokers import Broker


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Broker:
    """The session's broker that the parameter names; started on first use."""
    chosen: Broker = request.getfixturevalue(request.param)
    return chosen
