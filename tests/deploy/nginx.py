"""An nginx example, started as it stands but for ports, folders and who is behind it, and asked with curl."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from tests.deploy.files import program, run
from tests.support.paths import ROOT
from tests.support.processes import LIFELINE, free_port, said_in, terminated
from tests.support.waiting import wait_for

NGINX = ROOT / "deploy" / "nginx"
MAIN = """\
{user}
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include /etc/nginx/mime.types;
    include {directory}/site.conf;
}}
"""


class Nginx:
    """The example `conf` on free ports of loopback. `instead`: what else stands in it, and what shall stand there, such as who is
    behind it and folders below `directory`; each piece that is replaced must be in it."""

    def __init__(self, directory: Path, conf: Path, *instead: tuple[str, str]) -> None:
        directory.mkdir()
        self.directory = directory
        self.port, self.plain_port = free_port(), free_port()
        self.certificate = directory / "cert.pem"
        run(
            program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
            "-subj", "/CN=public.example.org", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", directory / "key.pem", "-out", self.certificate,
        )  # fmt: skip
        text = conf.read_text(encoding="utf-8")
        for is_in_it, ours in [
            ("listen 80;\n    listen [::]:80;", f"listen 127.0.0.1:{self.plain_port};"),
            ("listen 443 ssl http2;\n    listen [::]:443 ssl http2;", f"listen 127.0.0.1:{self.port} ssl http2;"),
            ("/etc/nginx/tally/fullchain.pem", str(self.certificate)),
            ("/etc/nginx/tally/key.pem", str(directory / "key.pem")),
            *instead,
        ]:
            assert is_in_it in text, is_in_it
            text = text.replace(is_in_it, ours)
        (directory / "site.conf").write_text(text, encoding="utf-8")
        self.main = directory / "nginx.conf"
        user = "user root root;" if os.geteuid() == 0 else ""  # the test's folder is root's alone
        self.main.write_text(MAIN.format(user=user, directory=directory), encoding="utf-8")

    def __enter__(self) -> Nginx:
        self.process = subprocess.Popen([program("nginx"), "-c", self.main], **LIFELINE.arguments({**os.environ}))
        wait_for(self._listens, "nginx to listen")
        return self

    def __exit__(self, *_: object) -> None:
        terminated(self.process)

    def _listens(self) -> bool:
        assert self.process.poll() is None, said_in(self.directory / "error.log")
        with socket.socket() as knocking:
            return knocking.connect_ex(("127.0.0.1", self.port)) == 0

    def curl(self, *words: str, path: str) -> str:
        url = f"https://127.0.0.1:{self.port}{path}"
        return run(program("curl"), "--silent", "--show-error", "--cacert", self.certificate, "--max-time", "20", *words, url)

    def headers(self, path: str, *words: str) -> tuple[str, list[tuple[str, str]]]:
        """The status line, and each header with its name in lower case, as often as it came."""
        status, *lines = self.curl("--http2", "--dump-header", "-", "--output", "/dev/null", *words, path=path).splitlines()
        pairs = [line.partition(":") for line in lines if ":" in line]
        return status.strip(), [(name.lower(), value.strip()) for name, _, value in pairs]
