"""The manifests of examples/kubernetes: Kubernetes' schemas, and what they say of our programs is so."""

import copy
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from fleet import Fleet
from program import MODEL, ROOT, vortex
from serving import start_vortex
from wire import ask, get, post

FOLDER = ROOT / "examples/kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
SPARE_S = 10


def read(name):
    """The objects of a file by kind."""
    return {one["kind"]: one for one in yaml.safe_load_all((FOLDER / name).read_text())}


def pod_of(objects):
    (workload,) = [one for one in objects.values() if "template" in one["spec"]]
    return workload["spec"]["template"]["spec"]


def container_of(objects):
    (container,) = pod_of(objects)["containers"]
    return container


def values_of(container):
    """Flag to value; a flag without one has None."""
    return {flag: value or None for flag, _, value in (one.partition("=") for one in container["args"])}


def flags_in(help_text):
    return set(re.findall(r"--[a-z][a-z-]+", help_text))


def ports_of(container):
    return {one["name"]: one["containerPort"] for one in container["ports"]}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
@pytest.mark.parametrize("version", ["1.30.0", "1.37.0"])
def test_every_object_fits_the_schema(file, version):
    objects = list(yaml.safe_load_all(file.read_text()))
    assert objects
    for one in objects:
        kubernetes_validate.validate(one, version, strict=True)


def test_the_schema_refuses_a_slip():
    slip = copy.deepcopy(read("cpu.yaml")["StatefulSet"])
    container = slip["spec"]["template"]["spec"]["containers"][0]
    container["readynessProbe"] = container.pop("readinessProbe")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(slip, "1.37.0", strict=True)


@pytest.mark.parametrize("file", ["cpu.yaml", "gpu.yaml", "router.yaml"])
def test_pods_have_few_rights_and_bounded_memory(file):
    objects = read(file)
    pod, container = pod_of(objects), container_of(objects)
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
    assert re.fullmatch(r"\S+:\d+\.\d+\.\d+", container["image"])
    mounted = {one["name"] for one in container["volumeMounts"]}
    assert mounted == {one["name"] for one in pod["volumes"]}


@pytest.mark.parametrize("file", ["cpu.yaml", "gpu.yaml", "router.yaml"])
def test_ports_and_labels_agree(file):
    objects = read(file)
    container = container_of(objects)
    ports = ports_of(container)
    assert ports["http"] == int(values_of(container)["--port"])
    assert all(container[probe]["httpGet"]["port"] == "http" for probe in PROBES)
    service = objects["Service"]["spec"]
    assert [one["targetPort"] for one in service["ports"]] == ["http"]
    (workload,) = [one for one in objects.values() if "template" in one["spec"]]
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert service["selector"] == labels == workload["spec"]["selector"]["matchLabels"]
    annotations = workload["spec"]["template"]["metadata"]["annotations"]
    assert int(annotations["prometheus.io/port"]) in ports.values()


@pytest.mark.parametrize("file", ["cpu.yaml", "gpu.yaml"])
def test_the_drain_fits_into_the_grace_period(file):
    objects = read(file)
    container = container_of(objects)
    drain = container["lifecycle"]["preStop"]["sleep"]["seconds"] + int(values_of(container)["--shutdown-timeout"])
    assert pod_of(objects)["terminationGracePeriodSeconds"] == drain + SPARE_S


@pytest.mark.parametrize("file", ["cpu.yaml", "gpu.yaml"])
def test_vortex_serve_knows_every_flag_and_answers_every_probe(file, tmp_path):
    container = container_of(read(file))
    model, *args = container["args"]
    assert model.startswith("/models/") and flags_in(" ".join(args)) <= flags_in(vortex("serve", "--help").out)
    keys = tmp_path / "keys"
    keys.write_text("a-key-of-a-user\n")
    here = {"--api-key-file": keys, "--device": "cpu", "--host": "127.0.0.1"}
    values = {flag: here.get(flag, value) for flag, value in values_of(container).items()}
    # The port, a number in test_ports_and_labels_agree, is a free one here.
    flags = [f"{flag}={value}" if value else flag for flag, value in values.items() if flag not in (model, "--port")]
    server = start_vortex(*flags, "--threads", "1", model=MODEL)
    for probe in PROBES:
        assert server.ask(get(container[probe]["httpGet"]["path"])).status == 200
    assert server.ask(get("/metrics")).status == 401
    assert server.ask(get("/metrics", "Authorization: Bearer a-key-of-a-user")).status == 200
    assert server.stop() == 0


def test_the_router_is_told_of_every_replica():
    container = container_of(read("router.yaml"))
    replicas = [read(file) for file in ("cpu.yaml", "gpu.yaml")]
    for objects in replicas:
        workload, service = objects["StatefulSet"], objects["Service"]
        assert workload["spec"]["serviceName"] == service["metadata"]["name"] and service["spec"]["clusterIP"] == "None"
        port = service["spec"]["ports"][0]["port"]
        assert port == ports_of(container_of(objects))["http"]
        name, count = workload["metadata"]["name"], workload["spec"]["replicas"]
        urls = [f"http://{name}-{index}.{service['metadata']['name']}:{port}" for index in range(count)]
        assert container["args"][-count:] == urls and container["args"][-count - 1] == "--worker-urls"


def test_the_router_knows_every_flag_and_answers_every_probe():
    container = container_of(read("router.yaml"))
    command = Path(ROOT / ".venv/bin/vllm-router")
    told = subprocess.run([command, "--help"], capture_output=True, text=True, check=True).stdout
    assert container["command"] == ["vllm-router"]
    assert flags_in(" ".join(container["args"])) <= flags_in(told)
    fleet = Fleet("--no-access-log")
    try:
        for probe in PROBES:
            assert ask(fleet.address, get(container[probe]["httpGet"]["path"])).status == 200
        assert ask(fleet.address, post("/v1/completions", {"prompt": "x", "max_tokens": 1})).status == 200
    finally:
        assert fleet.stop() == 0
