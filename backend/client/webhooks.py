"""Webhooks, for who may manage them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from .connection import Connection
from .models import NewWebhook, NewWebhookSecret, Webhook, WebhookMessage
from .reading import read
from .wire import as_json


class Webhooks:
    """The endpoints that are told of what happens, and what was sent to them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, url: str, kinds: Sequence[str], description: str | None = None) -> NewWebhook:
        """Has an address told of these kinds of events, and returns its secret, once; raises Refused."""
        asked = {"url": url, "kinds": list(kinds), "description": description}
        return read(NewWebhook, self._connection.post("/webhooks", asked))

    def list(self) -> tuple[Webhook, ...]:
        """Returns all endpoints, newest first; raises Refused."""
        return tuple(read(Webhook, one) for one in self._connection.get("/webhooks")["endpoints"])

    def change(self, webhook_id: UUID, **changed: Any) -> Webhook:  # noqa: ANN401 - what the service takes
        """Changes `url`, `kinds`, `description` or `status` (`enabled`, `disabled`); raises Refused."""
        answer = self._connection.send("PATCH", f"/webhooks/{webhook_id}", json=changed)
        return read(Webhook, answer.json())

    def delete(self, webhook_id: UUID) -> None:
        """Tells an endpoint nothing more; raises Refused."""
        self._connection.send("DELETE", f"/webhooks/{webhook_id}")

    def rotate(self, webhook_id: UUID, overlap_seconds: int = 86_400) -> NewWebhookSecret:
        """Gives an endpoint another secret; the present one signs for so long beside it. Raises Refused."""
        asked = {"overlap_seconds": overlap_seconds}
        return read(NewWebhookSecret, self._connection.post(f"/webhooks/{webhook_id}/rotate", asked))

    def test(self, webhook_id: UUID) -> WebhookMessage:
        """Sends a message that tells of nothing; raises Refused."""
        return read(WebhookMessage, self._connection.post(f"/webhooks/{webhook_id}/test", {}))

    def deliveries(self, webhook_id: UUID, limit: int = 50, **filters: str) -> tuple[WebhookMessage, ...]:
        """Returns what was last sent to an endpoint; `state` is a filter. Raises Refused."""
        found = self._connection.get(f"/webhooks/{webhook_id}/deliveries", limit=limit, **filters)
        return tuple(read(WebhookMessage, one) for one in found["deliveries"])

    def replay(self, webhook_id: UUID, since: datetime) -> int:
        """Sends everything again that was told since a moment; returns in how many events it is looked for. Raises Refused."""
        answer = self._connection.post(f"/webhooks/{webhook_id}/replay", as_json({"since": since}))
        events: int = answer["events"]
        return events

    def replay_delivery(self, webhook_id: UUID, delivery_id: UUID) -> WebhookMessage:
        """Sends one message again; raises Refused."""
        return read(
            WebhookMessage, self._connection.post(f"/webhooks/{webhook_id}/deliveries/{delivery_id}/replay", {})
        )
