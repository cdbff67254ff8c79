"""docs/deploy.md: each line that a newcomer types is held as far as it can be without the machines it is for.

Lines of our own commands are given to their parser. Of the others (make, pip, systemd, Docker, Kubernetes) the files, targets,
units, profiles, variables, namespaces and labels are looked up; whether those programs have such options is not known here.
"""

from __future__ import annotations

import re
import shlex
from itertools import pairwise

import pytest
import yaml

from deploy.kafka.local.secured import PRINCIPALS, SETUP
from tally_stream import __version__
from tests.deploy.files import run
from tests.deploy.manifests import documents, pod_template, resources
from tests.support.doc_pages import blocks
from tests.support.paths import DOCS, ROOT
from tests.support.product_commands import parse

PAGE = (DOCS / "deploy.md").read_text(encoding="utf-8")
TYPED = re.findall(r"^run_as (\w+) (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("principal", "line"), TYPED, ids=[line[:30] for _, line in TYPED])
def test_a_line_is_understood_and_its_principal_is_there(principal: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # a clone's top, as the page says
    assert principal in {*PRINCIPALS, SETUP}
    words = shlex.split(line)
    parse([word for word in words if not word.startswith("reports-saved")] if words[0] == "verify" else words)


ENVIRONMENT = re.compile(r"[A-Z_]+=")
KUBERNETES = ROOT / "deploy" / "kubernetes"


def typed() -> list[str]:
    """Every line of a block of a shell that is typed, without the prompt."""
    lines = []
    for block in blocks(DOCS / "deploy.md"):
        for line in block.text.splitlines():
            if block.language in {"sh", "bash"}:
                lines.append(line)
            elif block.language == "console" and line.startswith(("$ ", "# ")):
                lines.append(line[2:])
    return lines


def held(line: str) -> None:
    """Raises AssertionError where something that the line names is not there, and where nobody here knows such a line."""
    words = shlex.split(line)
    match words:
        case ["run_as() {", *_] | ["run_as()", *_] | ["run_as", *_]:
            return  # its words are judged above
        case ["make", target, *arguments]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{target}:", makefile, re.M), target
            if arguments:
                (given,) = [word.removeprefix("ARGS=") for word in arguments]
                recipe = re.search(rf"^{target}:.*\n\t(.+) \$\(ARGS\)$", makefile, re.M)
                assert recipe, f"{target} takes no ARGS"
                _, program, command, *_ = recipe[1].split()
                told = run("python3", program, command, "--help")
                assert all(flag in told for flag in given.split()), given
        case [python, "-m", "pip", "wheel", ".", *_]:
            assert python.startswith(".venv/bin/")
        case ["python3", "-m", "venv", folder]:
            assert f"{folder}/bin/tally-stream" in PAGE
        case [pip, "install", *_] if pip.endswith("/bin/pip"):
            file = words[-1]
            assert f"tally_stream-{__version__}-" in file or (ROOT / file).is_file(), file
        case ["install", "-m", "600", "/dev/stdin", file] | ["cat", file]:
            units = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "deploy" / "systemd").iterdir())
            assert file in units, file
        case [variable, "docker", "compose", *options] if ENVIRONMENT.match(variable):
            compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
            assert f"${{{variable.partition('=')[0]}" in (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
            profiles = {profile for one in compose["services"].values() for profile in one.get("profiles", [])}
            assert {options[n + 1] for n, word in enumerate(options) if word == "--profile"} <= profiles
        case ["kubectl", *options]:
            held_by_manifests(options)
        case _:
            raise AssertionError(f"nobody here knows this line: {line}")


def held_by_manifests(options: list[str]) -> None:
    after = dict(pairwise(options))
    if "--filename" in after:
        assert (ROOT / after["--filename"]).is_file()
    if "--kustomize" in after:
        assert (ROOT / after["--kustomize"] / "kustomization.yaml").is_file()
    example = list(resources(KUBERNETES / "overlays" / "example"))
    if "--namespace" in after:
        assert after["--namespace"] in {one["metadata"]["name"] for one in example if one["kind"] == "Namespace"}
    if "--selector" in after:
        key, _, value = after["--selector"].partition("=")
        templates = [template for one in example if (template := pod_template(one))]
        assert value in {template["metadata"]["labels"].get(key) for template in templates}
    if "wait" in after:
        kinds = {one["kind"].lower() for path in (KUBERNETES / "strimzi").glob("*.yaml") for one in documents(path)}
        (waited,) = [word for word in options if word.startswith("kafka")]
        assert set(waited.split(",")) <= kinds


@pytest.mark.parametrize("line", typed(), ids=[line[:40] for line in typed()])
def test_what_a_line_names_is_there(line: str) -> None:
    held(line)


@pytest.mark.parametrize("line", [
    "make kafkas", 'make kafka ARGS="--secure-it"', "/srv/tally/bin/pip install requirements/none.txt",
    "/srv/tally/bin/pip install dist/tally_stream-9.9.9-*.whl", "cat /etc/tally-stream/nobody.env", "systemctl start it",
    "TALLY_ELECTIONS=/x docker compose up", "TALLY_ELECTION_DIR=/x docker compose --profile none up",
    "kubectl apply --kustomize deploy/kubernetes/none", "kubectl --namespace tallies get pod",
    "kubectl --namespace tally delete pod --selector app.kubernetes.io/name=worker",
    "kubectl --namespace tally wait kafkatopic,kafkagroup --all",
])  # fmt: skip
def test_what_a_line_names_and_is_not_there_is_found(line: str) -> None:
    with pytest.raises(AssertionError):
        held(line)


def test_the_page_goes_from_topics_to_a_verified_night() -> None:
    commands = [shlex.split(line)[0] for _, line in TYPED]
    assert commands == ["topics", "topics", "worker", "board", "dump", "send", "status", "standings", "verify", "worker"]


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
