"""What a command does to a statement before it is sent: signed with the key that the settings name, or left as it is.

Decides when a key is needed, and that none is used where every envelope would be refused.
"""

from __future__ import annotations

from pathlib import Path

from tally_stream.cli.common import EXIT_USAGE, refuse, warn
from tally_stream.domain.election import Election
from tally_stream.settings import Settings
from tally_stream.station.authority import Seal, unsealed
from tally_stream.station.signing_key import KeyFileError, SealingKey, named_key, read_key_file


def seal_of(settings: Settings, election: Election) -> Seal:
    """For an election's statements; exits 2 where a key is needed and cannot be had."""
    if election.signatures is None:
        if settings.signing_key is not None:
            warn(f"TALLY_SIGNING_KEY: not used, as {election.id} has no [security]: what is signed would be refused (S6)")
        return unsealed
    if settings.signing_key is None and election.signatures == "optional":
        return unsealed
    return key_of(settings, election).seal


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
