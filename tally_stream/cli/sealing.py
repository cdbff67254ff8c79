"""What a command does to a statement before it is sent: signed with the key that the settings name, or left as it is.

Decides when a key is needed, that none is used where every envelope would be refused, and what is said where the brokers
cannot be asked what the record says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from tally_stream.cli.common import EXIT_USAGE, cancel_when_told, refuse, run_async, warn
from tally_stream.cli.silence import Silence
from tally_stream.domain.election import Election
from tally_stream.settings import Settings
from tally_stream.station.authority import Seal, unsealed
from tally_stream.station.signing_key import KeyFileError, SealingKey, named_key, read_key_file

if TYPE_CHECKING:  # the Kafka client is loaded late, so that --help is quick
    from tally_stream.station.record_read import OnRecord


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


def record_of(settings: Settings, election: Election, stations: Collection[str], key: SealingKey | None) -> OnRecord | None:
    """What the record says of these stations, and of the keys where there is one to ask about; None where no broker can be
    asked, which is said unless an intake alone is named."""
    from tally_stream.station.intake.sending import uses_intake_alone
    from tally_stream.station.record_read import ask_record, not_known

    async def asked() -> OnRecord | str:
        cancel_when_told()
        silence = Silence(settings)
        silence.begin()
        try:
            return await ask_record(settings, election, stations, None if key is None else key.id)
        finally:
            silence.end()

    if uses_intake_alone(settings):
        return None
    try:
        found = run_async(asked())
    except (KeyboardInterrupt, asyncio.CancelledError):
        refuse(["stopped before anything was kept"])
    if isinstance(found, str):
        warn(not_known(found, None if key is None else key.id))
        return None
    return found


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
