"""Faults planted in `station/intake/`."""

from tests.mutants.planted import Mutant

TAKING, TESTED = "tally_stream/station/intake/taking.py", "tests/station/intake/test_taking.py"
SERVER, ASKED = "tally_stream/station/intake/server.py", "tests/station/intake/test_server.py"

FOLLOWED, FOLLOWED_TESTED = "tally_stream/station/intake/followed.py", "tests/station/intake/test_followed.py"

PLAYING, PLAYED = "tally_stream/station/intake/playing.py", "tests/station/intake/test_playing.py"

MUTANTS = (
    Mutant("let a simulated station's statements overtake each other", PLAYING, "if before is not None:", "if False:", PLAYED),
    Mutant(
        "send a correction without its reason",
        "tally_stream/station/intake/clerk_form.py",
        "if question.is_needed or (is_correction and question in CORRECTION):",
        "if question.is_needed:",
        "tests/station/clerk/test_clerk_form.py",
    ),
    Mutant("send a whole night at once", PLAYING, "await room.acquire()", "pass", PLAYED),
    Mutant(
        "come again before the intake said",
        PLAYING,
        "pause_seconds(failures, error.retry_seconds,",
        "pause_seconds(failures, None,",
        PLAYED,
    ),
    Mutant(
        "hear no Retry-After in a client",
        "tally_stream/station/client.py",
        "pause_seconds(failures, why.retry_seconds,",
        "pause_seconds(failures, None,",
        "tests/station/test_client.py",
    ),
    Mutant(
        "let all who were told the same come again at the same moment",
        "tally_stream/station/client.py",
        "(asked_seconds or 0.0) + back_off_seconds(failures, chance)",
        "asked_seconds or back_off_seconds(failures, chance)",
        "tests/station/test_client.py",
    ),
    Mutant(
        "simulate an authority's orders for an intake",
        "tally_stream/station/simulate.py",
        "ORDINARY.items() if name in BY_INTAKE or not plan.by_intake]",
        "ORDINARY.items()]",
        PLAYED,
    ),
    Mutant("let whoever calls speak for every station", TAKING, "if not identity.may_speak_for(whose):", "if False:", TESTED),
    Mutant("send what was taken already", TAKING, "if before is not None and before.value == value:", "if False:", TESTED),
    Mutant(
        "send other content of a revision that was taken",
        TAKING,
        'if checked.verdict == "conflicting" or (before is not None and checked.verdict != "repeated"):',
        "if False:",
        TESTED,
    ),
    Mutant("let a station's statements overtake each other", TAKING, "async with line.lock:", "if True:", TESTED),
    Mutant(
        "end the sending when its caller hangs up", TAKING, "return await asyncio.shield(going)", "return await going", TESTED
    ),
    Mutant("let any number wait", TAKING, "if len(self._under_way) >= UNDER_WAY_MAX:", "if False:", TESTED),
    Mutant(
        "take warnings for accepted",
        TAKING,
        "accepts_warnings=accepts_warnings, accepts_errors=accepts_errors) is not None",
        "accepts_warnings=True, accepts_errors=accepts_errors) is not None",
        TESTED,
    ),
    Mutant(
        "take an unsigned statement where signatures are demanded",
        "tally_stream/station/known_keys.py",
        'if not is_signed and election.signatures == "required":',
        "if False:",
        TESTED,
    ),
    Mutant("take an authority's orders", TAKING, "if isinstance(kind, str) and kind in _OF_AN_AUTHORITY:", "if False:", TESTED),
    Mutant(
        "forget no statement",
        "tally_stream/station/intake/recent.py",
        "while len(self._by_name) > self._most or self.bytes_kept > self._most_bytes:",
        "while False:",
        TESTED,
    ),
    Mutant(
        "keep a token that was taken away",
        "tally_stream/station/intake/identity.py",
        "if seen == self._seen:",
        "if self._seen:",
        TESTED,
    ),
    Mutant("read a body of any size", SERVER, "if len(body) > most_bytes:", "if False:", ASKED),
    Mutant("give no room back", SERVER, "self.room.give_back(len(body))", "pass", ASKED),
    Mutant(
        "take any number of one caller",
        SERVER,
        '        wait = self.rates.take(identity)\n        if wait:\n            self.refused["too-many"] += 1\n            return 429',
        '        wait = self.rates.take(identity)\n        if False:\n            self.refused["too-many"] += 1\n            return 429',
        ASKED,
    ),
    Mutant(
        "send what stands behind one that was not taken",
        SERVER,
        'if "retry_after_seconds" in content:\n                why',
        "if False:\n                why",
        ASKED,
    ),
    Mutant(
        "know nothing of what was sent before a restart",
        TAKING,
        "self._known.know(station, counted.entries(station), counted.turnout(station))",
        "pass",
        FOLLOWED_TESTED,
    ),
    Mutant(
        "let what was refused take a revision",
        FOLLOWED,
        'elif verdict in ("counted", "held") and statement is not None and',
        "elif statement is not None and",
        FOLLOWED_TESTED,
    ),
    Mutant("keep the place of what was refused", FOLLOWED, 'if verdict == "rejected":', "if False:", FOLLOWED_TESTED),
    Mutant("take what may stand there already", TAKING, "if not await self.is_known(station):", "if False:", FOLLOWED_TESTED),
    Mutant(
        "forget what was taken here until it was read",
        TAKING,
        "if counted is None or not counted.has(station, self._newest.get(station, -1)):",
        "if counted is None:",
        FOLLOWED_TESTED,
    ),
    Mutant(
        "read no keys of the record",
        "tally_stream/station/count_of_stations.py",
        "if record.key not in self._keys and not self._is_about_keys(record.value):",
        "if record.key not in self._keys:",
        FOLLOWED_TESTED,
    ),
    Mutant(
        "look a place up each time it is asked for",
        "tally_stream/station/intake/receipts_read.py",
        "self._looked_up.add(known)",
        "pass",
        "tests/station/intake/test_receipts_read.py",
    ),
    Mutant(
        "know a certificate of a station that is none",
        "tally_stream/station/intake/identity.py",
        "if common_name not in self._election.stations:",
        "if False:",
        TESTED,
    ),
    Mutant(
        "ask brokers that do not answer for each statement",
        "tally_stream/station/intake/sending.py",
        "if time.monotonic() < self._kafka_again_at:",
        "if False:",
        "tests/station/intake/test_sending.py",
    ),
    Mutant(
        "try for ever what an intake refuses",
        "tally_stream/station/intake/sending.py",
        "if status in _MAY_PASS:",
        "if True:",
        "tests/station/intake/test_sending.py",
    ),
)
