"""The intake's HTTP service: what answers where.

Decides statuses, headers and the form of errors (problem details, RFC 9457). Refuses to know rules and brokers: `taking.py`.
"""

from __future__ import annotations

from aiohttp import web

from tally_stream.station.intake.identity import Identities
from tally_stream.station.intake.taking import Taking

TAKING = web.AppKey("taking", Taking)
IDENTITIES = web.AppKey("identities", Identities)


def application(taking: Taking, identities: Identities) -> web.Application:
    app = web.Application()
    app[TAKING], app[IDENTITIES] = taking, identities
    return app
