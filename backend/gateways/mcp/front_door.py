"""The door of agents that speak the Model Context Protocol."""

from starlette.routing import Route

from backend.gateways.front_door import FrontDoor
from backend.gateways.mcp.door import PATH, McpDoor
from backend.identity.callers.admission import LaneName


def front_door() -> FrontDoor:
    """Returns the description of the door."""
    served = McpDoor()
    return FrontDoor(
        prefix=PATH,
        routes=(Route(PATH, served, methods=["POST"]),),
        lanes={PATH: LaneName.MODEL},
        for_other_origins=False,
        running=served.running,
    )
