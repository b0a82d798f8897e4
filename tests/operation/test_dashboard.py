"""infra/grafana/affidavit.json shows each thing that is measured, and asks for nothing that is not."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from backend import metrics
from backend.operation import measures

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "infra" / "grafana" / "affidavit.json").read_text()
)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ASKED = [target["expr"] for panel in PANELS for target in panel["targets"]]
_NAME = re.compile(r"\baffidavit_\w+")
_LABELS = re.compile(r"\bby \(([\w, ]+)\)")
_SHOWN = re.compile(r"\{\{(\w+)\}\}")

assert metrics
assert measures  # what both measure is in the registry once they are imported


def measured() -> dict[str, set[str]]:
    """The labels of each measure, by the names under which Prometheus knows it."""
    found: dict[str, set[str]] = {}
    for collector, names in REGISTRY._collector_to_names.items():
        labels = set(getattr(collector, "_labelnames", ()))
        found |= {name: labels for name in names if name.startswith("affidavit_")}
    return found


@pytest.mark.parametrize("expression", ASKED)
def test_what_is_asked_for_is_measured_with_these_labels(expression: str) -> None:
    known = measured()
    names = _NAME.findall(expression)
    assert names
    for name in names:
        assert name in known, name
        for labels in _LABELS.findall(expression):
            assert set(labels.split(", ")) <= known[name] | {"le"}, expression


WATCHED = {
    "requests by route and outcome": ("requests_total", {"route", "status"}),
    "latencies by stage": ("stage_seconds_bucket", {"stage"}),
    "latencies by route": ("request_seconds_bucket", {"route"}),
    "refusals by reason": ("refused_total", {"code", "reason"}),
    "outcomes of questions": ("answers_total", {"outcome", "reason"}),
    "grounding by level": ("sentences_total", {"support"}),
    "tokens": ("model_tokens_total", {"model", "direction"}),
    "cost": ("model_cost_micros_total", {"model"}),
    "pool use": ("connections_in_use", set[str]()),
    "the wait for a connection": ("connection_wait_seconds_bucket", set[str]()),
    "admission queue": ("admission_waiting", {"lane"}),
    "jobs by state": ("jobs", {"kind", "status"}),
    "jobs by age": ("job_oldest_seconds", {"kind", "status"}),
    "seal lag": ("seal_lag_seconds", set[str]()),
    "unsealed events": ("unsealed_events", set[str]()),
    "checkpoint age": ("checkpoint_age_seconds", set[str]()),
    "open turns": ("open_turns", set[str]()),
    "turns left open": ("turns_left_open", set[str]()),
    "tenants' sizes by band": ("tenants", {"chunks"}),
    "build information": ("build", {"version", "code"}),
}


@pytest.mark.parametrize(("name", "labels"), WATCHED.values(), ids=WATCHED)
def test_what_an_operator_watches_is_measured_by_these_labels(name: str, labels: set[str]) -> None:
    assert labels <= measured()[f"affidavit_{name}"]


@pytest.mark.parametrize("name", measured())
def test_no_label_could_name_a_tenant_a_person_or_a_document(name: str) -> None:
    """A label is one of these, whose values are ours or the operator's."""
    assert measured()[name] <= {
        "cell", "chunks", "code", "direction", "kind", "lane", "method", "model", "outcome", "reason", "route", "stage", "status",
        "support", "version",
    }  # fmt: skip


def test_everything_that_is_measured_is_shown() -> None:
    shown = {re.sub(r"_(total|bucket)$", "", name) for expression in ASKED for name in _NAME.findall(expression)}
    kept = {re.sub(r"_(total|bucket|count|sum|created)$", "", name) for name in measured()}
    assert kept - shown == set()


def test_a_legend_names_labels_that_are_there() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            by = {label for labels in _LABELS.findall(target["expr"]) for label in labels.split(", ")}
            assert set(_SHOWN.findall(target["legendFormat"])) <= by, panel["title"]


def test_panels_say_what_they_show_and_none_covers_another() -> None:
    assert all(panel["description"].endswith(".") and panel["fieldConfig"]["defaults"]["unit"] for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        )  # fmt: skip
        assert apart, (one, other)
