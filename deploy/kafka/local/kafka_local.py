"""A real Apache Kafka on loopback, from the command line.

    python deploy/kafka/local/kafka_local.py start --brokers 3 --directory .kafka
    python deploy/kafka/local/kafka_local.py start --secured --directory .kafka
    python deploy/kafka/local/kafka_local.py stop --directory .kafka

One or three nodes (each broker and controller in one, KRaft mode), started from jars that Maven copies once into
`.jars/`. No Docker, no root, standard library only, so that tests, benchmarks and a developer's shell share it; but
`--secured` makes certificates, with the `cryptography` package. What it starts is in `cluster.py` and `secured.py`, one
process of it in `node.py`, the jars in `jars.py`, Kafka's own tools in `tools.py`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

# An operator runs this file by its path, from anywhere: Python then knows this folder alone.
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from deploy.kafka.local.cluster import CLUSTER_SIZES, LocalKafka, read_cluster
from deploy.kafka.local.jars import LocalKafkaError
from deploy.kafka.local.node import end_nodes
from deploy.kafka.local.tools import login, write_tools


def _start(directory: Path, brokers: int, port_base: int | None) -> int:
    kafka = LocalKafka(directory, brokers=brokers, port_base=port_base, outlive_parent=True)
    bootstrap = kafka.start()
    print(f"Kafka's own tools: {write_tools(directory)}", file=sys.stderr)
    print(bootstrap)
    return 0


def _start_secured(directory: Path, brokers: int, port_base: int | None) -> int:
    from deploy.kafka.local.certificates import write_secret  # noqa: PLC0415 (only this needs cryptography)
    from deploy.kafka.local.secured import PRINCIPALS, SETUP, SecuredKafka  # noqa: PLC0415 (as above)

    kafka = SecuredKafka(directory, brokers=brokers, port_base=port_base, outlive_parent=True)
    kafka.start()
    print(f"with a password, SASL_SSL and SCRAM-SHA-512: {kafka.bootstrap}")
    print(f"with a certificate, SSL:                     {kafka.mtls_bootstrap}")
    print(f"its certificate authority:                   {kafka.cafile}")
    print("what each principal's programs need in their environment (and, with a certificate, NAME-mtls.env):")
    for principal in (*PRINCIPALS, SETUP):
        print(f"  {kafka.clients / principal}.env")
    print(f"nobody but {SETUP} may do anything until access rules are made")
    print(f"for a shell: set -a; . {kafka.clients / SETUP}.env; set +a")
    properties = kafka.clients / f"{SETUP}.properties"
    write_secret(properties, login(SETUP, kafka.environment(SETUP)["TALLY_SECURITY_PASSWORD"], kafka.cafile))
    print(f"Kafka's own tools: {write_tools(directory)}, with --command-config {properties}")
    return 0


def _stop(directory: Path) -> int:
    cluster = read_cluster(directory)
    if cluster is None:
        print(f"no cluster.json in {directory}", file=sys.stderr)
        return 1
    end_nodes(cluster.nodes)
    return 0


def _guard(directory: Path, *, remove: bool) -> int:
    """Wait for the parent's end of the pipe to close; if it left nodes behind, end them."""
    sys.stdin.buffer.read()
    cluster = read_cluster(directory)
    if cluster is not None:
        end_nodes(cluster.nodes, 0)
    if remove:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """`start` prints the bootstrap string; exit status 0 done, 1 failed, 2 usage."""
    parser = argparse.ArgumentParser(description="A real Apache Kafka on loopback, without Docker.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start 1 or 3 brokers, print the bootstrap string")
    start.add_argument("--brokers", type=int, choices=CLUSTER_SIZES, default=1)
    start.add_argument("--port-base", type=int, help="first of 2 ports a broker (secured: 3); default: free ones")
    start.add_argument("--secured", action="store_true", help="TLS, passwords or certificates, access lists")
    stop = commands.add_parser("stop", help="end the brokers of a directory, and no other process")
    guard = commands.add_parser("guard", help="(internal) end the brokers when standard input closes")
    guard.add_argument("--remove", action="store_true")
    for command in (start, stop, guard):
        command.add_argument("--directory", type=Path, required=True, help="settings, data, logs, cluster.json")
    chosen = parser.parse_args(arguments)
    directory = chosen.directory.resolve()
    try:
        if chosen.command == "start":
            directory.mkdir(parents=True, exist_ok=True)
            return (_start_secured if chosen.secured else _start)(directory, chosen.brokers, chosen.port_base)
        if chosen.command == "stop":
            return _stop(directory)
        return _guard(directory, remove=chosen.remove)
    except LocalKafkaError as error:
        print(f"kafka_local: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
