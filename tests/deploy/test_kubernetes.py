"""The manifests of ``deploy/kubernetes``: what Kubernetes would take, and what Viva does of it."""

import math
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from aiohttp import ClientSession

from operating.gauges import Gauges
from operating.metrics import Metrics
from settings import Settings
from tests.conftest import ServerFactory

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
VERSIONS = ("1.29", "1.33", kubernetes_validate.latest_version())
WRITE_SECS = 20.0
"""For what is written after the calls are over: the ledger, mail, traces."""

Manifest = dict[str, Any]


def manifests() -> list[Manifest]:
    return [
        manifest
        for path in sorted(FOLDER.glob("*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text())
    ]


def the(kind: str) -> Manifest:
    """The manifest of a kind."""
    (found,) = [manifest for manifest in manifests() if manifest["kind"] == kind]
    return found


def pod() -> Manifest:
    template: Manifest = the("Deployment")["spec"]["template"]
    return template


def container() -> Manifest:
    (only,) = pod()["spec"]["containers"]
    return dict(only)


def settings(**more: str) -> Settings:
    """The settings of a pod."""
    given = {**the("ConfigMap")["data"], **the("Secret")["stringData"], **more}
    known = {name.upper() for name in Settings.model_fields}
    assert set(given) <= known, "each is a setting"
    return Settings.load(
        **{name.lower(): value for name, value in given.items() if value}, _env_file=None
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", manifests(), ids=lambda manifest: str(manifest["kind"]))
def test_kubernetes_knows_every_field(manifest: Manifest, version: str) -> None:
    if manifest["kind"] == "Kustomization":
        listed = {path.name for path in FOLDER.glob("*.yaml")}
        assert {*manifest["resources"], "kustomization.yaml", "secret.example.yaml"} == listed
        return
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_would_be_seen() -> None:
    manifest = the("PodDisruptionBudget")
    manifest["spec"]["maxUnavailble"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


def test_what_belongs_together_finds_each_other() -> None:
    labels = pod()["metadata"]["labels"]
    selectors = (
        the("Deployment")["spec"]["selector"]["matchLabels"],
        the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        the("Service")["spec"]["selector"],
        pod()["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    )
    assert all(selector.items() <= labels.items() for selector in selectors)
    target = the("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    deployment = the("Deployment")
    assert target == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    (port,) = container()["ports"]
    (served,) = the("Service")["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    (rule,) = the("Ingress")["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    backend = path["backend"]["service"]
    assert backend == {
        "name": the("Service")["metadata"]["name"],
        "port": {"name": served["name"]},
    }
    sources = [next(iter(source.values()))["name"] for source in container()["envFrom"]]
    assert sources == [the("ConfigMap")["metadata"]["name"], the("Secret")["metadata"]["name"]]


def test_a_pod_may_do_nothing_but_its_work() -> None:
    spec, security = pod()["spec"], container()["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["automountServiceAccountToken"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    mounts = {mount["mountPath"] for mount in container()["volumeMounts"]}
    assert mounts == {"/srv/viva", "/tmp"}


def test_a_pod_that_goes_lets_its_calls_finish() -> None:
    ours = settings()
    assert ours.drain_secs > ours.call_secs, "no call is cut short"
    pause = int(container()["lifecycle"]["preStop"]["exec"]["command"][-1])
    needed = pause + ours.drain_secs + ours.shutdown_secs + WRITE_SECS
    assert pod()["spec"]["terminationGracePeriodSeconds"] > needed
    readiness = container()["readinessProbe"]
    assert pause < readiness["periodSeconds"] * readiness["failureThreshold"]


def test_pods_come_before_their_lines_are_busy_by_a_metric_that_there_is() -> None:
    (metric,) = the("HorizontalPodAutoscaler")["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    metrics = Metrics()
    Gauges(metrics.registry)
    assert name in {family.name for family in metrics.registry.collect()}
    assert int(metric["pods"]["target"]["averageValue"]) < (settings().max_calls or math.inf)
    assert settings().workers == 1, "a pod's metrics are then one process's"


async def test_probes_ask_what_the_server_answers(serving: ServerFactory) -> None:
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    paths = [container()[probe]["httpGet"]["path"] for probe in probes]
    async with serving() as (server, listening), ClientSession() as session:
        await server.loading.ready()
        for path in paths:
            async with session.get(listening.make_url(path)) as answer:
                assert answer.status == 200
    assert paths[2] == "/readyz", "a pod that drains gets no callers"
