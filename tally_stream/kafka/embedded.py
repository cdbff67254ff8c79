"""A Kafka-speaking broker inside a Python wheel; nothing to install, nothing kept."""
from __future__ import annotations

import ctypes
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

class EmbeddedBrokerError(RuntimeError):
    """The embedded broker could not be started; the message says why and what to do."""


class EmbeddedBroker:
    def __init__(self, topics: Mapping[str, int] | None = None) -> None:
        self._topics = dict(topics or {})
        self._child: subprocess.Popen[str] | None = None
        self.bootstrap = ""

    def start(self) -> str:
        self._child = subprocess.Popen(
            [sys.executable, "-P", __file__, json.dumps(self._topics)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._child.stdout
        line = self._child.stdout.readline()
        self.bootstrap = json.loads(line)["bootstrap"]
        return self.bootstrap

    def stop(self) -> None:
        c = self._child
        if c is None: return
        c.stdin.close(); c.wait(); c.stdout.close(); self._child = None


def main():
    import confluent_kafka.cimpl
    lib = ctypes.CDLL(confluent_kafka.cimpl.__file__)
    p = ctypes.c_void_p
    lib.rd_kafka_conf_new.restype = p
    lib.rd_kafka_new.restype = p
    lib.rd_kafka_mock_cluster_new.restype = p
    lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    err = ctypes.create_string_buffer(512)
    conf = p(lib.rd_kafka_conf_new())
    for k, v in (("log_level", "3"), *(a.split("=",1) for a in os.environ.get("EMB","").split() )):
        if lib.rd_kafka_conf_set(conf, k.encode(), v.encode(), err, 512): print(err.value, file=sys.stderr)
    rk = p(lib.rd_kafka_new(0, conf, err, 512))
    mc = p(lib.rd_kafka_mock_cluster_new(rk, 1))
    lib.rd_kafka_mock_group_initial_rebalance_delay_ms(mc, int(os.environ.get("DELAY","0")))
    for t, n in json.loads(sys.argv[1]).items():
        e = lib.rd_kafka_mock_topic_create(mc, t.encode(), n, 1)
        assert e == 0, e
    print(json.dumps({"bootstrap": lib.rd_kafka_mock_cluster_bootstraps(mc).decode()}), flush=True)
    sys.stdin.read()
    os._exit(0)

if __name__ == "__main__":
    main()
