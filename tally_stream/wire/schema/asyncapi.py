"""The AsyncAPI 3 document: which topics there are, who writes and reads them, what their records are.

Decides the document's form and sentences. Refuses to know how topics are created: their settings are given by the
caller, from `kafka/topics.py`. Payloads are references to the schemas of `documents.py`, which lie beside the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tally_stream import __version__

ASYNCAPI_VERSION = "3.0.0"
KAFKA_BINDING_VERSION = "0.5.0"

_Spec = dict[str, Any]

_STATION_KEY = "The station's id; the partition is murmur2(key) mod N, as Kafka's default partitioner has it."
_PLACE_KEY = "`<partition>/<offset>` of the statement in the reports topic. May repeat with the same bytes: keep one a key."

# topic → (what it is, whether we receive or send it, message name → (title, key))
_CHANNELS: dict[str, tuple[str, str, dict[str, tuple[str, str]]]] = {
    "reports": (
        "What polling stations and authorities state. The only durable truth: kept for ever, its partition count fixed.",
        "receive",
        {
            "report": ("A station's counts, or a decision about them", _STATION_KEY),
            "turnout": ("Voters so far, before the count", _STATION_KEY),
            "control": ("Hold, release or certify a contest", "The contest's id; one copy in every partition."),
            "key": ("Add or revoke a key that signs", "The key's id; one copy in every partition."),
            "envelope": ("Any of these, signed", "That of the statement in it."),
        },
    ),
    "partials": (
        "Cumulative sums of one partition, from stage 1 to stage 2. Internal: their form may change with any version.",
        "send",
        {
            "page": ("The sums of some areas of a contest in one partition", "`<contest>|<partition>|<page>`"),
            "mark": ("How far the pages of a partition go", "`|<partition>`"),
        },
    ),
    "standings": (
        "The public standings, one record for each contest and area. Compacted: the newest of a key stays.",
        "send",
        {"standings": ("Standings of one contest in one area", "`<contest>|<area>`")},
    ),
    "rejections": (
        "Every record that does not count, with its raw bytes and the rules it broke.",
        "send",
        {"rejection": ("A record that was refused or is held", _PLACE_KEY)},
    ),
    "changes": (
        "A public line for every total that falls. The lines up to a standings message add up to every fall in it.",
        "send",
        {"change": ("Why complete counts were replaced, removed or put back", _PLACE_KEY)},
    ),
}
_ONE_PARTITION = {"partials", "standings"}


def document(topic_settings: Mapping[str, Mapping[str, str]]) -> _Spec:
    """The whole document. `topic_settings`: topic without prefix → its settings, as Kafka names them."""
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "tally-stream",
            "version": __version__,
            "description": "Election night as a stream: polling stations' reports in, standings anyone can recompute out. "
            "Every value is JSON in UTF-8. What a schema cannot say stands in docs/wire-format.md.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name, topic_settings[name]) for name in _CHANNELS},
        "operations": {f"{action}{name.capitalize()}": _operation(name, action) for name, (_, action, _) in _CHANNELS.items()},
        "components": {
            "messages": {
                message: {
                    "name": message,
                    "title": title,
                    "contentType": "application/json",
                    "payload": {"$ref": f"./schemas/{message}.json"},
                    "bindings": {
                        "kafka": {"key": {"type": "string", "description": key}, "bindingVersion": KAFKA_BINDING_VERSION}
                    },
                }
                for _, _, messages in _CHANNELS.values()
                for message, (title, key) in messages.items()
            }
        },
    }


def _channel(name: str, settings: Mapping[str, str]) -> _Spec:
    description, _, messages = _CHANNELS[name]
    binding: _Spec = {"topicConfiguration": _topic_configuration(settings), "bindingVersion": KAFKA_BINDING_VERSION}
    if name in _ONE_PARTITION:
        binding["partitions"] = 1
    return {
        "address": f"{{prefix}}.{name}",
        "description": description,
        "parameters": {"prefix": {"default": "tally", "description": "TALLY_PREFIX: one for each election."}},
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in messages},
        "bindings": {"kafka": binding},
    }


def _topic_configuration(settings: Mapping[str, str]) -> _Spec:
    """Only what the Kafka binding has names for; it wants lists and integers."""
    found: _Spec = {"cleanup.policy": settings["cleanup.policy"].split(",")}
    for name in ("retention.ms", "retention.bytes", "max.message.bytes"):
        if name in settings:
            found[name] = int(settings[name])
    return found


def _operation(name: str, action: str) -> _Spec:
    _, _, messages = _CHANNELS[name]
    return {
        "action": action,
        "summary": "Counted by every worker." if action == "receive" else "Written by workers.",
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{message}"} for message in messages],
    }
