"""docs/deploy.md: each line that a newcomer types is one that the programs understand, as somebody who is there."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from deploy.kafka.local.secured import PRINCIPALS, SETUP
from tally_stream.cli.main import cli
from tests.support.paths import DOCS, ROOT

PAGE = (DOCS / "deploy.md").read_text(encoding="utf-8")
TYPED = re.findall(r"^run_as (\w+) (.+)$", PAGE, re.MULTILINE)


def understood(words: list[str]) -> None:
    """Raises click's error where the command, an option or an argument is unknown."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        name, *words = words
        found = command.get_command(click.Context(command), name)
        assert found is not None, name
        command = found
    command.make_context(command.name, words)


@pytest.mark.parametrize(("principal", "line"), TYPED, ids=[line[:30] for _, line in TYPED])
def test_a_line_is_understood_and_its_principal_is_there(principal: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # a clone's top, as the page says
    assert principal in {*PRINCIPALS, SETUP}
    words = shlex.split(line)
    understood([word for word in words if not word.startswith("reports-saved")] if words[0] == "verify" else words)


def test_the_page_goes_from_topics_to_a_verified_night() -> None:
    commands = [shlex.split(line)[0] for _, line in TYPED]
    assert commands == ["topics", "topics", "worker", "board", "dump", "send", "standings", "verify", "worker"]


def test_what_was_not_run_says_so() -> None:
    said = dict(re.findall(r"^\| (.+?) \| (yes|no)\b", PAGE, re.MULTILINE))
    assert {"yes", "no"} == set(said.values())
    for name in ("Kubernetes", "systemd", "compose"):
        (verdict,) = [answer for what, answer in said.items() if name in what]
        assert verdict == "no", name
    for path in (
        "docker-compose.yml",
        "deploy/docker/Dockerfile",
        "deploy/kubernetes/base/kustomization.yaml",
        "deploy/kubernetes/strimzi/kustomization.yaml",
    ):
        head = " ".join((ROOT / path).read_text(encoding="utf-8")[:2500].replace("#", " ").split())
        assert re.search(r"has not been (run|built)|None of it has been run|Not run where", head), path
