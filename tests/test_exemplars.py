"""Ids of requests beside the times of several processes."""

import multiprocessing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.openmetrics.exposition import generate_latest

from backend.exemplars import AllProcesses, ExemplarFile

BUCKETS = (0.1, 1.0)


def observe(folder: str, request: str, *times: float) -> None:
    """What a process does that serves."""
    histogram, beside = Histogram("some_seconds", "Times.", ["route"], buckets=BUCKETS), ExemplarFile(Path(folder))
    for seconds in times:
        histogram.labels("/r").observe(seconds, {"request_id": request})
        beside.note("some_seconds", "/r", seconds, {"request_id": request}, BUCKETS)
        beside.leave()
        beside._due_at = 0.0  # as a second later


def in_a_process(folder: Path, request: str, *times: float) -> None:
    """The library learns when it is imported that there are several."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
        process = multiprocessing.get_context("spawn").Process(target=observe, args=(str(folder), request, *times))
        process.start()
        process.join()
    assert process.exitcode == 0


def shown(folder: Path) -> list[str]:
    registry = CollectorRegistry()
    registry.register(AllProcesses(folder))
    return [line for line in generate_latest(registry).decode().splitlines() if "_bucket" in line]


def test_the_newest_request_of_each_bucket_stands_beside_the_sum_of_all(tmp_path: Path) -> None:
    in_a_process(tmp_path, "first", 0.05, 0.1, 5.0)
    in_a_process(tmp_path, "second", 0.5, 0.07)
    lines = [line.rpartition(" ")[0] for line in shown(tmp_path)]
    assert [line for line in lines if line] == [
        'some_seconds_bucket{le="0.1",route="/r"} 3.0 # {request_id="second"} 0.07',
        'some_seconds_bucket{le="1.0",route="/r"} 4.0 # {request_id="second"} 0.5',
        'some_seconds_bucket{le="+Inf",route="/r"} 5.0 # {request_id="first"} 5.0',
    ]


@pytest.mark.parametrize("damaged", [b"", b"[", b"[[1]]"])
def test_a_file_that_is_half_written_costs_its_exemplars_only(damaged: bytes, tmp_path: Path) -> None:
    in_a_process(tmp_path, "first", 0.05)
    (tmp_path / "exemplars_0.json").write_bytes(damaged)
    assert 'request_id="first"' in shown(tmp_path)[0]


def test_a_folder_that_is_gone_costs_no_request(tmp_path: Path) -> None:
    beside = ExemplarFile(tmp_path / "gone")
    beside.note("some_seconds", "/r", 0.1, {"request_id": "first"}, BUCKETS)
    beside.leave()


def test_the_file_is_written_once_a_second_at_most(tmp_path: Path) -> None:
    beside = ExemplarFile(tmp_path)
    for request in ("first", "second"):
        beside.note("some_seconds", "/r", 0.1, {"request_id": request}, BUCKETS)
        beside._due_at += 0 if request == "first" else 60  # by the clock of the machine
        beside.leave()
    (written,) = tmp_path.iterdir()
    assert b"first" in written.read_bytes()
    beside._due_at = 0.0
    beside.leave()
    assert b"second" in written.read_bytes()
