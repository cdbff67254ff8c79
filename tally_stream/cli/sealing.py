"""What a command does to a statement before it is sent: signed with the key that the settings name, or left as it is.

Decides when a key is needed, that none is used where every envelope would be refused, and how long the brokers are asked
what the record says of keys.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tally_stream.cli.common import EXIT_USAGE, cancel_when_told, refuse, run_async, warn
from tally_stream.domain.election import Election
from tally_stream.domain.key_ring import KeyRing
from tally_stream.settings import Settings
from tally_stream.station.authority import Seal, unsealed
from tally_stream.station.known_keys import KnownKeys
from tally_stream.station.signing_key import KeyFileError, SealingKey, named_key, read_key_file

KEYS_SECONDS = 15.0
"""For the brokers to say what the record says of keys; behind it keys.csv is what there is."""


def seal_of(settings: Settings, election: Election) -> Seal:
    """For an election's statements; exits 2 where a key is needed and cannot be had."""
    key = sealing_key_of(settings, election)
    return unsealed if key is None else key.seal


def sealing_key_of(settings: Settings, election: Election) -> SealingKey | None:
    """The key for an election's statements, None where they are not signed; exits 2 where one is needed and cannot be had."""
    if election.signatures is None:
        if settings.signing_key is not None:
            warn(f"TALLY_SIGNING_KEY: not used, as {election.id} has no [security]: what is signed would be refused (S6)")
        return None
    if settings.signing_key is None and election.signatures == "optional":
        return None
    return key_of(settings, election)


def known_keys_of(settings: Settings, election: Election, key: SealingKey | None, *, asks_brokers: bool) -> KnownKeys:
    """Who may sign, as far as it is known now: the record is asked where there is a key to ask about."""
    if key is None:
        return KnownKeys(election)
    ring: KeyRing | None = None
    if asks_brokers:
        try:
            ring = run_async(_on_record(settings, election, key))
        except (KeyboardInterrupt, asyncio.CancelledError):
            refuse(["stopped before anything was kept"])
    return KnownKeys(election, ring, settings.signing_key, warn)


async def _on_record(settings: Settings, election: Election, key: SealingKey) -> KeyRing | None:
    """None where no broker can be asked."""
    from tally_stream.kafka.client import KafkaError, short, try_broker
    from tally_stream.station.intake.sending import uses_intake_alone
    from tally_stream.station.keys_read import read_keys

    if uses_intake_alone(settings):
        return None
    cancel_when_told()
    try:
        async with asyncio.timeout(KEYS_SECONDS):
            refusal = await try_broker(settings, lambda line: None)  # who sends says it
            if refusal is None:
                return await read_keys(settings, election, key.id)
        why = refusal.sentence
    except TimeoutError:
        why = f"not read within {KEYS_SECONDS:.0f} s"
    except (KafkaError, OSError) as error:
        why = short(error)
    warn(f"what the record says of keys is not known ({why}): keys.csv alone says whether {key.id} may sign")
    return None


def key_id_of(settings: Settings, election: Election) -> str | None:
    """The id under which statements are signed; None where none is, or the key cannot be used: `seal_of` says why."""
    if settings.signing_key is None or election.signatures is None:
        return None
    path = Path(settings.signing_key)
    try:
        return named_key(read_key_file(path, settings.signing_password), election, settings.signing_key_id, path).id
    except KeyFileError:
        return None


def key_of(settings: Settings, election: Election) -> SealingKey:
    """The key that the settings name, under the id by which the election knows it; exits 2 where there is none."""
    if settings.signing_key is None:
        refuse(
            [f"{election.id} demands signatures: TALLY_SIGNING_KEY names the file of your key (`tally-stream keys make`)"],
            EXIT_USAGE,
        )
    path = Path(settings.signing_key)
    try:
        return named_key(read_key_file(path, settings.signing_password), election, settings.signing_key_id, path)
    except KeyFileError as error:
        refuse([f"TALLY_SIGNING_KEY: {error}"], EXIT_USAGE)
