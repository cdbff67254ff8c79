"""Every limit of how a worker reads, sends, commits and stops, with its unit and its reason; and Faust's settings made of them.

Decides nothing about an election: what an operator may set stands in `tally_stream/settings.py`. Read next: `app.py`.
"""

from __future__ import annotations

from typing import Any

from faust import SASLCredentials

from tally_stream.kafka.client import ssl_context
from tally_stream.settings import Settings
from tally_stream.stream.faust.left_out import NoTables, SlimMonitor

RUN_RECORDS = 4096
"""Most records in one run: 20 ms of counting at 5 us a record, so other work gets its turn."""

POLL_RECORDS = 16_384
"""Most records decoded by one fetch call, all partitions together: about 13 MB as Python objects."""

BUFFERED_RUNS = 8
"""Runs waiting for an agent. They are dropped and read again at a rebalance, so few are best."""

FETCH_BYTES = 1024 * 1024
"""Most bytes of one partition in one fetch reply, as they travel (compressed)."""

FETCH_WAIT_MS = 50
"""How long a broker holds an empty fetch; a record that arrives ends the wait at once. A broker answers the requests of a
connection one after the other, so whatever is asked behind an empty fetch waits for it. With 500 ms a worker that came back
waited for a second until it knew where its partitions begin and end. With 50 ms an idle worker takes a little more of a core
(docs/performance.md)."""

FETCH_PACE_SECONDS = 0.008
"""Between two fetches from a broker, at least. Without it one leaves as soon as the last was taken, brings two or three
reports of a partition, and a worker that publishes after each is busy for 0.95 of a core at 2,000 reports/s
(docs/performance.md)."""

BATCH_BYTES = 512 * 1024
"""Most bytes of one produced batch."""

REQUEST_BYTES = 1024 * 1024
"""Most bytes of one produced record: Kafka's own default for a batch."""

LINGER_SECONDS = 0.0
"""How long the producer waits for more records of a batch: the stages have gathered theirs when they send."""

COMMIT_SECONDS = 0.5
"""Between two commits. What is not committed when a worker dies is sent again by the next one."""

HEARTBEAT_SECONDS = 3.0
"""Between two heartbeats: three may be lost before the session is over."""

SESSION_SECONDS = 10.0
"""How long the group keeps a member that it does not hear. A worker that restarts sooner has its partitions back at once;
those of a dead one stand still so long. Faust's is 60."""

REBALANCE_SECONDS = 30.0
"""How long a group waits for a living member that does not join again."""

REQUEST_SECONDS = 40.0
"""Above REBALANCE_SECONDS, because a join is one request that may take that long."""

PRODUCE_SECONDS = 30.0
"""For the broker's answer to what was sent; then it counts as failed. Faust's is 20 minutes."""

IDLE_SECONDS = 300.0
"""A member that fetched nothing for so long leaves; our own watchdogs act far earlier."""

DRAIN_SECONDS = 3.0
"""For finishing the run in hand when partitions go or the worker stops. What is left is read again."""

COMMIT_LIMIT_SECONDS = 2.5
"""For the commit that ends a drain: aiokafka tries for ever while no broker answers."""

FLUSH_SECONDS = 1.0
"""For answers to what was sent: in a stop, and before each commit. The commit of a drain waits for them within its own
limit, so this is less than COMMIT_LIMIT_SECONDS."""

CLOSE_SECONDS = 1.0
"""For each of consumer and producer to close; then their connections are cut."""

SEEK_LIMIT_SECONDS = 30.0
"""For learning committed offsets and seeking. Faust's own limit ends its recovery task in silence."""

STOP_SECONDS = 10.0
"""For the whole of `RunApp.stop`, above the sum of the limits before; then `on_fatal` ends the worker."""

WATCH_SECONDS = 1.0
"""Between two looks at what may have gone wrong in the background (`RunClient.trouble`, `RunProducer.trouble`)."""


def app_settings(
    group: str,
    bootstrap: str,
    *,
    instance_id: str | None,
    credentials: Any = None,
    compression: str | None = "snappy",
) -> dict[str, Any]:
    """The keyword arguments for `RunApp`.

    `bootstrap` is `host:port[,host:port...]`. `instance_id` names this worker in the group over its
    restarts (static membership: two living workers must not share one); None makes every start a new
    member. `credentials` is an `ssl.SSLContext` or one of Faust's credentials objects. Snappy, because what leaves
    every few milliseconds is small: zstd took a tenth of the core, and the broker and every reader pay for zstd again.
    """
    return {
        "id": group,
        "broker": [f"kafka://{address.strip()}" for address in bootstrap.split(",")],
        "broker_credentials": credentials,
        "broker_client_id": instance_id or group,
        "processing_guarantee": "at_least_once",
        # The group.
        "consumer_group_instance_id": instance_id,
        "broker_session_timeout": SESSION_SECONDS,
        "broker_heartbeat_interval": HEARTBEAT_SECONDS,
        "broker_rebalance_timeout": REBALANCE_SECONDS,
        "broker_request_timeout": REQUEST_SECONDS,
        "broker_max_poll_interval": IDLE_SECONDS,
        # Reading: never from a place that was not asked for.
        "consumer_auto_offset_reset": "none",
        "consumer_max_fetch_size": FETCH_BYTES,
        "broker_max_poll_records": POLL_RECORDS,
        "broker_check_crcs": True,
        "stream_buffer_maxsize": BUFFERED_RUNS,
        "stream_wait_empty": False,  # Faust's own drain waits without limit; ours has one
        "stream_recovery_delay": 0.0,
        # Committing by time alone.
        "broker_commit_interval": COMMIT_SECONDS,
        "broker_commit_every": 2**31,
        # Sending.
        "producer_linger": LINGER_SECONDS,
        "producer_max_batch_size": BATCH_BYTES,
        "producer_max_request_size": REQUEST_BYTES,
        "producer_compression_type": compression,
        "producer_request_timeout": PRODUCE_SECONDS,
        # What Faust would do by itself, and must not.
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "reply_create_topic": False,
        "autodiscover": False,
        "web_enabled": False,
        "worker_redirect_stdouts": False,
        "store": "memory://",
        "Monitor": SlimMonitor,
        "TableManager": NoTables,
    }


def credentials(settings: Settings) -> Any:
    """Faust's credentials object, or an SSL context, or None."""
    if settings.security_protocol == "PLAINTEXT":
        return None
    context = ssl_context(settings)
    if not settings.security_protocol.startswith("SASL"):
        return context
    password = settings.security_password
    return SASLCredentials(
        username=settings.security_username,
        password=password.get_secret_value() if password else None,
        mechanism=settings.security_sasl_mechanism,
        ssl_context=context,
    )
