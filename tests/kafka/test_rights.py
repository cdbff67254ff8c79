"""What an access rule forbids is said in one sentence, however deep aiokafka hid it."""

from __future__ import annotations

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from tally_stream.kafka.rights import NotAllowed, is_missing_right, names_a_missing_right, principal, rights_said, spoken
from tally_stream.settings import Settings, load_settings

WORKER = load_settings(security_protocol="SASL_PLAINTEXT", security_username="worker", security_password="x")
HAS_IT = " (whoever may Write a topic has it)"
MISSING = ": an access rule (ACL) is missing"


@pytest.mark.parametrize(
    ("said", "right"),
    [
        (f"reading failed: {TopicAuthorizationFailedError('tally.reports')!r}", "Read topic tally.reports"),
        (f"publishing partition 2 failed: {TopicAuthorizationFailedError('tally.partials')}", "Write topic tally.partials"),
        (f"publishing standings failed: {KafkaError(repr(TopicAuthorizationFailedError('tally.standings')))!r}",
         "Write topic tally.standings"),
        (f"group coordination failed: {TopicAuthorizationFailedError({'tally.reports'})!r}", "Read topic tally.reports"),
        (f"handing over partitions failed: {TopicAuthorizationFailedError()!r}", "Read topic tally.*"),
        (f"group coordination ended: {KafkaError(repr(GroupAuthorizationFailedError('crew')))!r}", "Read group crew"),
        (f"group coordination failed: {GroupAuthorizationFailedError()!r}", "Read group tally-workers"),
        (f"sending ended: {ClusterAuthorizationFailedError()!r}", "IdempotentWrite cluster" + MISSING + HAS_IT),
        (f"sending ended: {TransactionalIdAuthorizationFailed('t-1')!r}", "Write transactional id t-1"),
    ],
)  # fmt: skip
def test_who_lacks_which_right_on_what(said: str, right: str) -> None:
    sentence = spoken(said, WORKER)
    assert sentence == f"'worker' has no right to {right if right.endswith(HAS_IT) else right + MISSING}"
    assert names_a_missing_right(f"agent failed: {sentence} (x.py:1)")


def test_any_other_reason_stays_as_it_is() -> None:
    reason = "no answered heartbeat for 10.4 s: the session is over"
    assert spoken(reason, WORKER) == reason
    assert not names_a_missing_right(reason)
    assert not is_missing_right(KafkaError("NodeNotReadyError"))


def test_what_is_refused_inside_comes_out_as_the_sentence() -> None:
    with pytest.raises(NotAllowed) as caught, rights_said(WORKER, "Read"), rights_said(WORKER, "Write"):
        raise KafkaError("Unexpected") from TopicAuthorizationFailedError("tally.changes")
    assert str(caught.value) == f"'worker' has no right to Write topic tally.changes{MISSING}"
    assert is_missing_right(caught.value)
    with pytest.raises(KafkaError, match="other"), rights_said(WORKER, "Read"):
        raise KafkaError("other")


def test_who_we_are_without_a_login() -> None:
    certificate = Settings.model_construct(security_protocol="SSL", security_certfile="/etc/worker.pem")
    assert principal(certificate) == "the owner of the certificate /etc/worker.pem"
    assert principal(load_settings()) == "a client without a login"
