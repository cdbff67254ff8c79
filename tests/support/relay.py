"""A relay between two addresses of this machine, so that a process in a network of its own can be reached, and cut off.

    python -m tests.support.relay LISTEN CONNECT        each `tcp:PORT` on loopback, or `unix:PATH`

A path of a socket is seen from every network namespace, a port only from its own: two relays with a path between them are a
wire. Frozen (SIGSTOP), it is one that is cut: nothing is refused, nothing arrives. Ends with whoever started it.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from tally_stream.cli.lifeline import end_with_parent


async def connected(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    kind, _, where = address.partition(":")
    return await (asyncio.open_unix_connection(where) if kind == "unix" else asyncio.open_connection("127.0.0.1", int(where)))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
    writer.close()


async def main(listen: str, connect: str) -> None:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other_reader, other_writer = await connected(connect)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer))

    kind, _, where = listen.partition(":")
    server = await (
        asyncio.start_unix_server(relay, where) if kind == "unix" else asyncio.start_server(relay, "127.0.0.1", int(where))
    )
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    end_with_parent()
    asyncio.run(main(*sys.argv[1:3]))
