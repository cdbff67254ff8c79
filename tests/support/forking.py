"""A process that has the product's libraries loaded, and becomes a command of the product, or another module, by a fork.

    python -m tests.support.forking DESCRIPTOR MODULE…

The modules are loaded first. DESCRIPTOR is a socket on which `tests/support/preloaded.py` asks: module, arguments, environment and directory as JSON, and with
them a socket for the answer, stdin, stdout and stderr. The answer is two lines, the pid and the exit code. Refuses to know what
a module does: the child runs it to its end, as `python -m` does. Nothing of `cli/` is loaded beforehand,
for it looks at the streams.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
import threading
import time

REQUEST_MAX_BYTES = 128 * 1024


def serve(requests: socket.socket) -> list[str]:
    """Fork for each request, and say how each child ended. Returns in a child alone: its module and arguments."""
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is not None:
                    _say_the_end(selector, key)
                    continue
                message, descriptors, _, _ = socket.recv_fds(requests, REQUEST_MAX_BYTES, 4)
                if not message:
                    sys.exit()  # nobody is left who could ask
                pid = os.fork()
                if pid == 0:
                    for other in list(selector.get_map().values()):
                        os.close(other.fd)
                    return _become(json.loads(message), descriptors)
                answer = socket.socket(fileno=descriptors[0])
                for descriptor in descriptors[1:]:
                    os.close(descriptor)
                answer.sendall(b"%d\n" % pid)
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, answer))


def _say_the_end(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    pid, answer = key.data
    selector.unregister(key.fd)
    os.close(key.fd)
    with answer:
        answer.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _become(request: tuple[list[str], dict[str, str], str], descriptors: list[int]) -> list[str]:
    words, env, directory = request
    for number, descriptor in enumerate(descriptors[1:]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(directory)
    time.tzset()
    return words


def main() -> None:
    _, descriptor, *modules = sys.argv
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # a collection in a child would copy what it looks at
    assert threading.active_count() == 1, "a fork has no other threads"
    assert not [name for name in sys.modules if name.startswith("tally_stream.cli")]
    sys.argv = serve(socket.socket(fileno=int(descriptor)))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
