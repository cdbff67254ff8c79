"""JSON Schemas (draft 2020-12) of every message, made from the models in `stated.py`, `published.py`, `pages.py`.

Decides their form: one document a message, complete in itself. `docs/schemas/` holds what `schemas()` gives, checked by
`make check`; a server serves the same from here. Read `asyncapi.py` next, which says on which topic each goes.
"""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from tally_stream.wire.pages import MarkMessage, PageMessage
from tally_stream.wire.schema import published, stated

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_MODELS: dict[str, tuple[type, ...]] = {
    "report": (stated.Report, stated.Correction, stated.Decision),
    "turnout": (stated.TurnoutStatement,),
    "control": (stated.ControlStatement,),
    "key": (stated.KeyAdded, stated.KeyRevoked),
    "envelope": (stated.SignedStatement,),
    "page": (PageMessage,),
    "mark": (MarkMessage,),
    "standings": (published.Standings,),
    "rejection": (published.Rejection,),
    "change": (published.ChangeMessage,),
}
_OF_SEVERAL = {
    "report": "What a polling station states, or an authority about it. Key of the record: the station's id.",
    "key": "A key is added or revoked. Key of the record: the key's id.",
}


def schemas() -> dict[str, Schema]:
    """Name of the message → its schema."""
    return {name: _schema(name, models) for name, models in _MODELS.items()}


def _schema(name: str, models: tuple[type, ...]) -> Schema:
    roots, definitions = msgspec.json.schema_components(models, ref_template="#/$defs/{name}")
    for definition in definitions.values():
        definition.pop("title", None)
        definition["description"] = " ".join(inspect.cleandoc(definition["description"]).split())  # each model has one
    head: Schema = {"$schema": DIALECT, "title": name}
    if len(models) > 1:
        # Exactly one fits: they have no kind in common, or no action.
        return {**head, "description": _OF_SEVERAL[name], "oneOf": list(roots), "$defs": definitions}
    body = definitions.pop(models[0].__name__)
    return {**head, **body, **({"$defs": definitions} if definitions else {})}
