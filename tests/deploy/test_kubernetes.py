"""The manifests, read: Kubernetes' own schemas, what each pod may do and is told, who reaches whom, and that all of it fits together.

No cluster runs here. Strimzi's and the Prometheus operator's resources have no schema here: they are compared with the product.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from tally_stream import __version__
from tally_stream.cli.main import cli
from tally_stream.settings import Settings
from tally_stream.wire.folder.assembling import load_election
from tests.deploy import rules_resource, strimzi
from tests.deploy.files import brokers, run
from tests.deploy.manifests import containers, documents, pod_template, resources
from tests.support.paths import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = [KUBERNETES / "overlays" / name for name in ("example", "monitored", "intake")]
EXAMPLE, MONITORED, WITH_INTAKE = OVERLAYS
VERSIONS = ["1.31", "1.34", "1.37"]
FOREIGN = {"kafka.strimzi.io/v1", "monitoring.coreos.com/v1"}
PORTS = {"worker": [9180], "board": [8080], "dump": [9190], "intake": [8090, 9191]}
USERS = {"intake": "station"}
"""Whose name in Kafka is another one's."""
IN_BASE = PORTS.keys() - {"intake"}


@pytest.fixture
def found() -> list[dict[str, Any]]:
    """All that there is: the example, and intakes."""
    return list(resources(WITH_INTAKE))


def named(found: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    (one,) = [r for r in found if r["kind"] == kind and name in ("", r["metadata"]["name"])]
    return one


def programs(found: list[dict[str, Any]]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """worker, board, dump, intake → (its set or deployment, its only container)."""
    return {one["name"]: (r, one) for r in found for one in containers(r)}


def environment(container: dict[str, Any], found: list[dict[str, Any]]) -> dict[str, str]:
    """What the program is told; a value that Kubernetes fills in is the field's path."""
    said: dict[str, str] = dict(named(found, "ConfigMap", "tally-settings")["data"])
    for one in container["env"]:
        said[one["name"]] = one["value"] if "value" in one else one["valueFrom"]["fieldRef"]["fieldPath"]
    return said


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda path: path.name)
def test_kubernetes_own_schemas_accept_every_resource(folder: Path, version: str) -> None:
    checked = [one for one in resources(folder) if one["apiVersion"] not in FOREIGN]
    assert len(checked) >= 14
    for one in checked:
        kubernetes_validate.validate(one, version, strict=True)


def test_the_schemas_see_a_word_that_is_wrong(found: list[dict[str, Any]]) -> None:
    worker = named(found, "StatefulSet", "tally-worker")
    worker["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(worker, VERSIONS[0], strict=True)


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda path: path.name)
def test_kustomize_itself_makes_the_same(folder: Path) -> None:
    """Where there is kubectl; everywhere the folder is read without it, which this compares."""

    def about(all_of_them: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
        return sorted((r["kind"], r["metadata"]["name"].removesuffix(_hash(r)), str(_labels(r))) for r in all_of_them)

    ours = list(resources(folder))
    assert len({(r["kind"], r["metadata"]["name"]) for r in ours}) == len(ours)
    if shutil.which("kubectl"):
        theirs = list(yaml.safe_load_all(run("kubectl", "kustomize", folder)))
        assert about(theirs) == about(ours)
        images = [sorted(one["image"] for r in them for one in containers(r)) for them in (theirs, ours)]
        count = len(PORTS if folder is WITH_INTAKE else IN_BASE)
        assert images[0] == images[1] == [f"registry.example.org/tally-stream:{__version__}"] * count
        assert _dangling(theirs) == set()
        for one in theirs:
            if one["apiVersion"] not in FOREIGN:
                kubernetes_validate.validate(one, VERSIONS[-1], strict=True)


def _dangling(found: list[dict[str, Any]]) -> set[str]:
    """ConfigMaps that pods name and nobody made: Kustomize gives theirs a hash, and has to write it everywhere."""
    specs = [template["spec"] for one in found if (template := pod_template(one))]
    named = {volume["configMap"]["name"] for spec in specs for volume in spec["volumes"] if "configMap" in volume}
    named |= {one["configMapRef"]["name"] for spec in specs for c in spec["containers"] for one in c["envFrom"]}
    return named - {one["metadata"]["name"] for one in found if one["kind"] == "ConfigMap"}


def _hash(resource: dict[str, Any]) -> str:
    """What Kustomize puts behind the name of a ConfigMap that it makes."""
    return f"-{resource['metadata']['name'].rpartition('-')[2]}" if _is_hashed(resource) else ""


def _is_hashed(resource: dict[str, Any]) -> bool:
    return resource["kind"] == "ConfigMap" and resource["metadata"]["name"] not in {"tally-settings", "tally-election"}


def _labels(resource: dict[str, Any]) -> list[tuple[str, str]]:
    template = pod_template(resource)
    both = [resource["metadata"].get("labels", {}), template["metadata"]["labels"] if template else {}]
    return [pair for labels in both for pair in sorted(labels.items())]


def test_every_pod_is_of_the_restricted_kind(found: list[dict[str, Any]]) -> None:
    """Kubernetes' own Pod Security Standard `restricted`, and a file system that nobody writes."""
    assert programs(found).keys() == PORTS.keys()
    for resource, container in programs(found).values():
        pod = resource["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001, "the image's own"
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert {"hostNetwork", "hostPID", "hostIPC", "hostPath"} & pod.keys() == set()
        assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= {"configMap", "secret", "emptyDir"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert container["resources"].keys() == {"requests", "limits"}
        assert "memory" in container["resources"]["limits"]
        assert "cpu" not in container["resources"]["limits"]
    assert named(found, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_each_program_is_told_what_it_knows(found: list[dict[str, Any]]) -> None:
    users = {one["metadata"]["name"] for one in strimzi.users()}
    for name, (resource, container) in programs(found).items():
        said = environment(container, found)
        assert {one.removeprefix("TALLY_").lower() for one in said} <= set(Settings.model_fields)
        assert said["TALLY_SECURITY_PROTOCOL"] == "SASL_SSL"
        user = USERS.get(name, name)
        assert said["TALLY_SECURITY_USERNAME"] == user
        assert user in users
        command, *words = container["args"]
        chosen = cli.get_command(click.Context(cli), command)
        assert chosen is not None
        chosen.make_context(command, words)
        mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        volumes = {one["name"]: one for one in resource["spec"]["template"]["spec"]["volumes"]}
        assert said["TALLY_SECURITY_PASSWORD_FILE"] == "/secrets/password"
        assert volumes[mounted["/secrets"]]["secret"]["secretName"] == user
        assert said["TALLY_SECURITY_CAFILE"] == "/ca/ca.crt"
        assert volumes[mounted["/ca"]]["secret"]["secretName"] == f"{strimzi.CLUSTER}-cluster-ca-cert"
        for volume in volumes.values():
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440
        if name == "intake":
            folder, _, file = said["TALLY_INTAKE_TOKENS"].rpartition("/")
            tokens = volumes[mounted[folder]]["secret"]["secretName"]
            head = (WITH_INTAKE / "kustomization.yaml").read_text(encoding="utf-8")
            assert f"create secret generic {tokens} --from-file={file}\n" in head
            assert not any("subPath" in one for one in container["volumeMounts"]), "a Secret that changes would not be seen"
        if name != "dump":
            assert volumes[mounted[said["TALLY_ELECTION"]]]["configMap"]["name"] == "tally-election"


def test_workers_have_names_that_outlive_them_and_are_never_of_two_versions(found: list[dict[str, Any]]) -> None:
    resource, container = programs(found)["worker"]
    assert environment(container, found)["TALLY_INSTANCE"] == "metadata.name"
    assert resource["kind"] == "StatefulSet"
    assert resource["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert "--once" in container["args"]


def test_probes_ask_what_is_served_where_it_is_served(found: list[dict[str, Any]]) -> None:
    waits = {}
    for name, (_, container) in programs(found).items():
        port = container["ports"][0]
        assert [one["containerPort"] for one in container["ports"]] == PORTS[name]
        told = {key: value for key, value in environment(container, found).items() if key.endswith("_PORT")}
        assert list(told.values()) == list(map(str, PORTS[name]))
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] == port["name"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
        waits[name] = container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"]
    ready = {name: container["readinessProbe"]["httpGet"]["path"] for name, (_, container) in programs(found).items()}
    assert ready == {"worker": "/readyz", "board": "/livez", "dump": "/readyz", "intake": "/livez"}
    assert min(waits.values()) > Settings.model_fields["broker_wait_seconds"].default


def test_services_and_budgets_choose_the_pods_that_there_are(found: list[dict[str, Any]]) -> None:
    labels = {name: r["spec"]["template"]["metadata"]["labels"] for name, (r, _) in programs(found).items()}
    chosen = {
        r["metadata"]["name"]: r["spec"]["selector"].get("matchLabels", r["spec"]["selector"])
        for r in found
        if r["kind"] in {"Service", "PodDisruptionBudget"}
    }
    assert chosen.keys() == {f"tally-{name}" for name in PORTS}
    for name, selector in chosen.items():
        assert selector.items() <= labels[name.removeprefix("tally-")].items()
    budgets = [r for r in found if r["kind"] == "PodDisruptionBudget"]
    assert {r["metadata"]["name"] for r in budgets} == {"tally-worker", "tally-board", "tally-intake"}
    for r in budgets:
        assert r["spec"]["maxUnavailable"] == 1


def test_nobody_is_reached_who_is_not_named(found: list[dict[str, Any]]) -> None:
    policies = {r["metadata"]["name"]: r["spec"] for r in found if r["kind"] == "NetworkPolicy"}
    for resource, _ in programs(found).values():
        labels = resource["spec"]["template"]["metadata"]["labels"]
        assert policies["tally-closed"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policies["tally-closed"].get("ingress") is None is policies["tally-closed"].get("egress")
    assert policies["tally-closed"]["policyTypes"] == ["Ingress", "Egress"]
    (readers,) = policies["tally-readers"]["ingress"]
    assert policies["tally-readers"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "tally-board"}
    assert readers["ports"] == [{"port": "http", "protocol": "TCP"}]
    (metrics,) = policies["tally-metrics"]["ingress"]
    assert {one["port"] for one in metrics["ports"]} == {port for name in IN_BASE for port in PORTS[name]}
    assert policies["tally-senders"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "tally-intake"}
    senders, watching = policies["tally-senders"]["ingress"]
    assert [rule["ports"] for rule in (senders, watching)] == [[{"port": p, "protocol": "TCP"}] for p in ("http", "metrics")]
    assert (senders["from"], watching["from"]) == (readers["from"], metrics["from"])
    kafka, names = policies["tally-to-kafka"]["egress"]
    port = environment(programs(found)["worker"][1], found)["TALLY_BOOTSTRAP"].rpartition(":")[2]
    assert [one["port"] for one in kafka["ports"]] == [int(port)]
    assert {one["port"] for one in names["ports"]} == {53}


def test_the_copy_is_kept_whatever_becomes_of_its_set(found: list[dict[str, Any]]) -> None:
    resource, container = programs(found)["dump"]
    assert resource["spec"]["replicas"] == 1
    assert set(resource["spec"]["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
    (claim,) = resource["spec"]["volumeClaimTemplates"]
    (path,) = [one["mountPath"] for one in container["volumeMounts"] if one["name"] == claim["metadata"]["name"]]
    assert container["args"][1].startswith(f"{path}/")


def test_the_election_is_one_that_can_be_counted() -> None:
    assert load_election(EXAMPLE / "election").id == "RIVERTOWN-2026"


def test_pods_are_watched_under_the_names_that_prometheus_has() -> None:
    monitors = documents(KUBERNETES / "overlays" / "monitored" / "pod-monitors.yaml")
    jobs = {one["metadata"]["name"]: one["spec"]["podMetricsEndpoints"][0] for one in monitors}
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    assert {job["job_name"] for job in config["scrape_configs"]} - {"tally-station"} <= jobs.keys()
    found = programs(list(resources(WITH_INTAKE)))
    for name, endpoint in jobs.items():
        assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": name}]
        assert endpoint["port"] == found[name.removeprefix("tally-")][1]["ports"][-1]["name"], (
            "the metrics' port, where it has one"
        )


def test_the_operator_s_rules_are_the_shipped_ones_now() -> None:
    assert rules_resource.PATH.read_text(encoding="utf-8") == rules_resource.written(), (
        "run python -m tests.deploy.rules_resource"
    )
    (one,) = [r for r in resources(MONITORED) if r["kind"] == "PrometheusRule"]
    assert sum(len(group["rules"]) for group in one["spec"]["groups"]) > 40


@pytest.mark.parametrize("name", list(strimzi.HEADS))
def test_strimzi_s_files_are_what_the_product_says_now(name: str) -> None:
    assert (strimzi.FOLDER / name).read_text(encoding="utf-8") == strimzi.written(name), "run python -m tests.deploy.strimzi"


STRIMZI_S_OWN = (
    "advertised.", "authorizer.", "broker.", "controller.", "cruise.control.metrics.reporter.bootstrap.servers",
    "cruise.control.metrics.topic", "host.name", "inter.broker.listener.name", "listener.", "listeners", "log.dir",
    "metadata.log.dir", "node.id", "password.", "port", "process.roles", "sasl.", "security.", "ssl.", "super.user", "zookeeper.",
)  # fmt: skip
"""How settings begin that its documentation (KafkaClusterSpec, config) forbids: the operator ignores them with a line in its log."""


def test_strimzi_ignores_no_setting_of_its_cluster() -> None:
    _, cluster = documents(strimzi.FOLDER / "kafka.yaml")
    config = cluster["spec"]["kafka"]["config"]
    assert config
    assert [name for name in config if name.startswith(STRIMZI_S_OWN)] == []


def test_strimzi_s_cluster_is_closed_and_keeps_what_the_others_keep() -> None:
    pool, cluster = documents(strimzi.FOLDER / "kafka.yaml")
    kafka = cluster["spec"]["kafka"]
    (listener,) = kafka["listeners"]
    assert listener["tls"] is True
    assert listener["authentication"] == {"type": "scram-sha-512"}
    assert kafka["authorization"] == {"type": "simple"}
    said = {key.replace(".", "_").upper(): str(value) for key, value in kafka["config"].items()}
    compose = brokers()[0]["environment"]
    assert {key: compose[f"KAFKA_{key}"] for key in said} == said
    assert pool["spec"]["replicas"] == strimzi.REPLICAS
    everything = [pool, cluster, *documents(strimzi.FOLDER / "topics.yaml"), *documents(strimzi.FOLDER / "users.yaml")]
    for one in everything:
        assert one["apiVersion"] == strimzi.API
        if one is not cluster:
            assert one["metadata"]["labels"]["strimzi.io/cluster"] == cluster["metadata"]["name"] == strimzi.CLUSTER
    volumes = pool["spec"]["storage"]["volumes"]
    assert [one["deleteClaim"] for one in volumes] == [False] * len(volumes)
