"""What a kustomization is made of, read without the program: its resources, and what its generators would make.

Decides which documents belong to a folder. Knows of Kustomize no more than the folders here use, and fails at a word it does not
know: resources, namespace, labels, images, configMapGenerator.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

KNOWN = {"apiVersion", "kind", "namespace", "resources", "labels", "images", "configMapGenerator"}
CONFIG_MAP_MAX_BYTES = 1_048_576


def documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one is not None]


def kustomization(folder: Path) -> dict[str, Any]:
    (found,) = documents(folder / "kustomization.yaml")
    assert found["kind"] == "Kustomization"
    assert found.keys() <= KNOWN, found.keys() - KNOWN
    return found


def resources(folder: Path) -> Iterator[dict[str, Any]]:
    """Every document of a folder and of the folders that it names, with the labels and images of its own kustomization."""
    said = kustomization(folder)
    paths = [(folder / name).resolve() for name in said["resources"]]
    found = [one for path in paths for one in (resources(path) if path.is_dir() else documents(path))]
    for document in found + [_config_map(folder, one) for one in said.get("configMapGenerator", [])]:
        for label in said.get("labels", []):
            _label(document, label["pairs"], with_template=label["includeTemplates"])
        for image in said.get("images", []):
            _rename(document, image)
        if "namespace" in said and document["kind"] != "Namespace":
            document["metadata"]["namespace"] = said["namespace"]
        yield document


def pod_template(document: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (
        document["spec"].get("template") if document["kind"] in {"StatefulSet", "Deployment"} else None
    )
    return found


def containers(document: dict[str, Any]) -> list[dict[str, Any]]:
    template = pod_template(document)
    return [] if template is None else list(template["spec"]["containers"])


def _label(document: dict[str, Any], pairs: dict[str, str], *, with_template: bool) -> None:
    document["metadata"].setdefault("labels", {}).update(pairs)
    template = pod_template(document)
    if with_template and template is not None:
        template["metadata"].setdefault("labels", {}).update(pairs)


def _rename(document: dict[str, Any], image: dict[str, str]) -> None:
    for container in containers(document):
        name, _, tag = container["image"].partition(":")
        if name == image["name"]:
            tag = image.get("newTag", tag)
            container["image"] = image.get("newName", name) + (f":{tag}" if tag else "")


def _config_map(folder: Path, generated: dict[str, Any]) -> dict[str, Any]:
    pairs = [one.split("=", 1) for one in generated.get("literals", [])]
    content: dict[str, str] = dict(pairs)
    content |= {Path(one).name: (folder / one).read_text(encoding="utf-8") for one in generated.get("files", [])}
    assert sum(map(len, content.values())) < CONFIG_MAP_MAX_BYTES
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generated["name"]}, "data": content}
