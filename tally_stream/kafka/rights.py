"""What Kafka's access rules forbid us, in one sentence: who lacks which right on which resource.

Decides the sentence and how it is found again in a reason that others have wrapped: aiokafka hands authorisation errors on as
texts inside other errors. The right named is the one to give: who may read a topic may also look at it. Refuses to know who
gives rights. A login that fails is `refused.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaError

from tally_stream.settings import Settings

_FAILED = re.compile(r"(Topic|Group|Cluster|TransactionalId)AuthorizationFailed(?:Error)?[(:]?[\s'\"{(\[]*([\w.-]*)")
_MISSING = re.compile(r"has no right to .+: an access rule \(ACL\) is missing")
_SENDING = re.compile(r"publish|send", re.IGNORECASE)


class NotAllowed(KafkaError):  # type: ignore[misc]  # aiokafka is not followed by mypy
    """`str()` of it is a sentence for the operator."""

    def __str__(self) -> str:
        return str(self.args[0])

    __repr__ = __str__


def principal(settings: Settings) -> str:
    """Who we are to the brokers, as far as we know it ourselves."""
    if settings.uses_login:
        return repr(settings.security_username)
    if settings.uses_tls and settings.security_certfile:
        return f"the owner of the certificate {settings.security_certfile}"
    return "a client without a login"


def missing_right(settings: Settings, operation: str, resource: str) -> str:
    """`resource`: kind and name, `topic tally.reports`."""
    return f"{principal(settings)} has no right to {operation} {resource}: an access rule (ACL) is missing"


def spoken(said: str, settings: Settings, operation: str | None = None) -> str:
    """The sentence of the authorisation error that a reason is about, or that reason as it is. Without `operation`, the words
    around it tell whether a topic was read or written."""
    found = _FAILED.search(said)
    if found is None:
        return said
    kind, name = found[1], found[2]
    if kind == "Topic":
        wanted = operation or ("Write" if _SENDING.search(said[: found.start()]) else "Read")
        return missing_right(settings, wanted, f"topic {name or f'{settings.prefix}.*'}")
    if kind == "Group":
        return missing_right(settings, "Read", f"group {name or settings.group_id}")
    if kind == "Cluster":
        return f"{missing_right(settings, 'IdempotentWrite', 'cluster')} (whoever may Write a topic has it)"
    return missing_right(settings, "Write", f"transactional id {name}")


def is_missing_right(error: BaseException) -> bool:
    """Whether it is, or tells of, an authorisation error."""
    return isinstance(error, NotAllowed) or _FAILED.search(repr(error)) is not None


def names_a_missing_right(sentence: str) -> bool:
    """Whether it is a sentence of `missing_right`, wrapped or not: no start cures that."""
    return _MISSING.search(sentence) is not None


@contextmanager
def rights_said(settings: Settings, operation: str) -> Iterator[None]:
    """What the brokers refuse inside comes out as NotAllowed."""
    try:
        yield
    except NotAllowed:
        raise
    except KafkaError as error:
        said = f"{error!r} {error.__cause__!r}"
        if _FAILED.search(said) is None:
            raise
        raise NotAllowed(spoken(said, settings, operation)) from error
