"""Where webhooks may go: what the operator allows, on public hosts alone unless it is for trying out."""

from typing import ClassVar

from backend.egress import AllowedHosts


class Destinations(AllowedHosts):
    """The hosts to which webhooks may go."""

    calls: ClassVar[str] = "webhooks"
