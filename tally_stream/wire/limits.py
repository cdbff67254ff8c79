"""Every limit on bytes, in one place, with its unit in the name. Each has a test at the limit and one past it."""

from tally_stream.domain.rounding import PLACES_MAX as _PLACES_MAX

VALUE_MAX_BYTES = 65_536
"""A record value above this is refused (S1) unread."""

NESTING_MAX_LEVELS = 64
"""Deepest nesting that the exact reader follows; the format asks for no less than 16."""

INTEGER_MAX_DIGITS = 18
"""Longer digit strings are out of every range; they are never turned into integers (quadratic time)."""

REJECTION_KEY_MAX_BYTES = 65_536
REJECTION_VALUE_MAX_BYTES = 65_536
"""How much of a refused record's key and value its rejection repeats."""

LOG_LINE_MAX_BYTES = 100_664_320
"""A line of a report log: 16 MiB, which a compressed record may inflate to, all control characters, six bytes each as
JSON text, and 1,024 for the rest."""

LOG_FRAME_MAX_BYTES = 134_217_728
"""A frame of a dump, packed or unpacked: 4 MiB of lines and one line more. A longer one was not written by `dump`."""

LOG_PARTITIONS_MAX = 100_000

LOG_TIMESTAMP_MIN_MS = -62_135_596_800_000
LOG_TIMESTAMP_MAX_MS = 253_402_300_799_999
"""0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: the times that RFC 3339 can write."""

MESSAGE_MAX_BYTES = 1_000_000
"""A definition of which some standings message could be longer is refused: a broker takes 1,048,588 unless told."""

STATIONS_MAX = 2_000_000
AREAS_MAX = 100_000
KEYS_MAX = 4_000_000
"""Two for each polling station there can be."""
CANDIDATES_MAX = 2_000
"""Of one contest."""
CONTESTS_MAX = 20_000
AREA_PAIRS_MAX = 1_000_000
"""Pairs of a contest and a published area: there is a message of each."""
STATION_PAIRS_MAX = 10_000_000
"""Pairs of a contest and a polling station: something is kept of each."""
CONTEST_NAME_MAX_CODE_POINTS = 2_000
CHANNEL_MAX_CODE_POINTS = 40
BOUND_REGISTER_PERCENT_MAX = 1_000
"""Of a register of COUNT_MAX that is a sum of ten digits, the longest that pages and messages are measured for."""
SUM_MAX = 9_007_199_254_740_991
"""Above 2^53 - 1 a reader of canonical JSON (RFC 8785) reads another integer than was written."""
CELL_MAX_CHARS = 10_000_000
"""Of a table: a scope may name each of 100,000 areas, of a hundred characters. Python's own limit is 131,072."""
ROUNDING_PLACES_MAX = _PLACES_MAX
SEATS_MAX = 1_000_000
FOLDER_ERRORS_SHOWN_MAX = 200
"""Mistakes of an election folder that are listed before the rest is only counted."""
