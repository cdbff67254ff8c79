"""Faults planted in what reads signatures and keys."""

from tests.mutants.planted import Mutant

SIGNING, SIGNED, ENVELOPE = "tally_stream/wire/signing.py", "tally_stream/wire/signed.py", "tally_stream/wire/envelope.py"
RING, KEYS, EXACT = "tally_stream/domain/key_ring.py", "tally_stream/domain/keys.py", "tally_stream/wire/exact.py"
COUNTING = "tally_stream/stream/counting.py"
S6, OPENED, OF_KEYS, STAGE = (
    "tests/wire/test_signing.py", "tests/wire/test_envelope.py", "tests/domain/test_keys.py", "tests/stream/test_signed_counting.py",
)  # fmt: skip

MUTANTS = (
    Mutant("take any signature", ENVELOPE, "    except (InvalidSignature, ValueError):\n        return False\n",
           "    except (InvalidSignature, ValueError):\n        return True\n", S6),
    Mutant("sign the payload alone, without its type and length", ENVELOPE,
           "_key_of(public_key).verify(envelope.signature, signed_bytes(envelope.payload))",
           "_key_of(public_key).verify(envelope.signature, envelope.payload)", S6),
    Mutant("take base64 in any spelling", ENVELOPE, "return found if b2a_base64(found, newline=False) == text.encode() else None",
           "return found", OPENED),
    Mutant("take another payload type", ENVELOPE, "if payload_type != PAYLOAD_TYPE:", "if False:", S6),
    Mutant("count no quotation marks of an envelope", ENVELOPE, 'if value.count(b\'"\') != _QUOTES or b"\\\\" in value:',
           "if False:", OPENED),
    Mutant("take a key of small order", KEYS, "if y in _SMALL_ORDER_YS:", "if False:", OF_KEYS),
    Mutant("take a point in its second spelling", KEYS, "    if y >= _P:\n", "    if y > 2 * _P:\n", OF_KEYS),
    Mutant("let a key sign after its time", KEYS, "self.valid_to_ms is None or log_ms <= self.valid_to_ms", "True", S6),
    Mutant("let a key sign before its time", KEYS,
           "(self.valid_from_ms is None or self.valid_from_ms <= log_ms) and (", "True and (", S6),
    Mutant("let a revoked key sign", RING, "return self._keys.get(key_id) if known is None else known.key",
           "return self._keys.get(key_id) or (known.key if known else None)", S6),
    Mutant("keep the definition's key under an id that was added again", RING,
           "return self._keys.get(key_id) if known is None else known.key",
           "return None if known is not None and known.key is None else self._keys.get(key_id) or (known.key if known else None)", S6),
    Mutant("let a key sign any kind", SIGNING, "if kind not in signer.kinds:", "if False:", S6),
    Mutant("let a station's key sign for another", SIGNING, "if signer.station and signer.station != station:", "if False:", S6),
    Mutant("let what has no station be signed by any key", SIGNING, "if signer.station and signer.station != station:",
           "if signer.station and station is not None and signer.station != station:", S6),
    Mutant("take a key statement that nobody signed", SIGNING, 'if kind == "key":', "if False:", S6),
    Mutant("demand no signature", SIGNING, 'if signatures == "required" else None', "if False else None", S6),
    Mutant("believe what was verified with another key", SIGNING, "if verified is None or verified.public_key != key.public_key:",
           "if verified is None:", S6),
    Mutant("read an unsigned report fast where signatures are demanded", SIGNED,
           'if reader.election.signatures == "optional" else None', "if True else None", S6),
    Mutant("do not ask what a key may sign, of a report that is read fast", SIGNED,
           "return not_allowed(signer, fast.kind, fast.station.id) or fast", "return fast", S6),
    Mutant("judge the payload's values before its signature", EXACT,
           "            if signing is not None or kind == \"key\":\n", "            _values(fields, kind)\n            if signing is not None or kind == \"key\":\n", S6),
    Mutant("fold what was verified for a partition that went", COUNTING,
           "            if not self._is_owned(owned):\n                return\n            self._fold(owned, few, ahead)", "            self._fold(owned, few, ahead)", STAGE),
    Mutant("verify on the loop", COUNTING,
           "ahead = await self.verifying.ahead_of({owned.fold.keys: [r.value for r in few]})", "ahead = NOTHING_AHEAD", STAGE),
    Mutant("publish nothing before a run is verified whole", COUNTING,
           "            if not owned.is_replaying:\n                owned.wake.set()\n\n    def _fold(", "\n    def _fold(", STAGE),
)  # fmt: skip
