"""The client's wheel, as somebody gets it who has nothing of the service."""

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

PROJECT = Path(__file__).resolve().parent.parent.parent / "backend" / "client"


def built(folder: Path) -> Path:
    """Builds the wheel into a folder."""
    return Path(next(WheelBuilder(str(PROJECT)).build(directory=str(folder), versions=["standard"])))


def unpacked(folder: Path) -> Path:
    """Returns a folder from which Python imports the client alone."""
    site = folder / "site"
    with zipfile.ZipFile(built(folder)) as wheel:
        wheel.extractall(site)
    return site
