"""What a retrieval costs each of several tenants: all are asked in turn, so that whatever else the machine does hits all."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from tests.benchmarks.deployment import latencies, p50
from tests.benchmarks.load_client import LoadClient, encoded
from tests.benchmarks.platforms import Platform, Subject
from tests.benchmarks.synthetic import Progress

BLOCK = 10  # requests between two looks at the processor times


async def _sent(client: LoadClient, requests: Sequence[bytes], number: int) -> object:
    return await client.send(requests[number])


async def costs(
    asked: Mapping[str, tuple[Platform, Subject]], runs: int, progress: Progress
) -> dict[str, dict[str, float]]:
    """Returns for each tenant the median milliseconds of POST /retrieve: by the clock, and of processors."""
    taken: dict[str, list[float]] = {name: [] for name in asked}
    used: dict[str, list[float]] = {name: [] for name in asked}
    clients = {name: await LoadClient.connect(platform.deployed.base_url) for name, (platform, _) in asked.items()}
    requests = {name: questions(*target, runs + 2 * BLOCK) for name, target in asked.items()}
    for start in range(0, runs + BLOCK, BLOCK):
        progress("asking tenants in turn", start, runs + BLOCK)
        for name, (platform, _) in asked.items():
            block, client = requests[name][start : start + BLOCK], clients[name]
            before = processor_seconds(platform)
            milliseconds = await latencies(partial(_sent, client, block), len(block), warm=0)
            if start:  # the first block warms caches and does not count
                taken[name] += milliseconds
                used[name].append((processor_seconds(platform) - before) / len(block) * 1000)
    progress("asking tenants in turn", runs + BLOCK, runs + BLOCK)
    for client in clients.values():
        client.close()
    return {name: {"p50": p50(taken[name]), "cpu": median(used[name])} for name in asked}


def questions(platform: Platform, subject: Subject, count: int) -> list[bytes]:
    """Returns questions of a subject's analyst, ready to be sent."""
    bodies = [{"query": platform.topics.question()[0], "k": 5} for _ in range(count)]
    return [encoded("/retrieve", body, subject.headers) for body in bodies]


def processor_seconds(platform: Platform) -> float:
    """Returns the processor time that the service and its connections' server processes have used."""
    (postmaster, *_) = (platform.deployed.data_folder / "postmaster.pid").read_text().splitlines()
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    serving = [int(pid) for pid in children if "affidavit_runtime" in _read(Path(f"/proc/{pid}/cmdline"))]
    return sum(map(cpu_seconds, [platform.deployed.process.pid, *serving]))


def cpu_seconds(pid: int) -> float:
    """Returns the processor time that the threads of a process have used."""
    statistics = [_read(path) or "0" for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(line.split()[0]) for line in statistics) / 1e9


def _read(path: Path) -> str:
    """Returns what a file of /proc says; nothing once its process has ended."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
