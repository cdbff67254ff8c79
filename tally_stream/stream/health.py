"""A small HTTP service for operators: `/livez`, `/readyz`, `/metrics`. Loopback unless configured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry

from tally_stream.metrics import render

Readiness = Callable[[], dict[str, Any]]
"""What `/readyz` says; its `ready` decides between 200 and 503."""


class HealthServer:
    """`start` binds (port 0: any free one; `port` tells it), `stop` unbinds."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, readiness: Readiness) -> None:
        self._host, self.port = host, port
        self._registry, self._readiness = registry, readiness
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Raises OSError where the address is taken."""
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _readyz(self, _: web.Request) -> web.Response:
        state = self._readiness()
        return web.json_response(state, status=200 if state["ready"] else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=render(self._registry), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
