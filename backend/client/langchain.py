"""LangChain finds passages through this retriever; what is found is on record, like every retrieval."""

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field

from .client import Client
from .models import Context


class AffidavitRetriever(BaseRetriever):
    """Returns the best passages as documents: text, and where it stands as metadata."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    client: Client
    k: int = 5
    scope: dict[str, Any] = Field(default_factory=dict, description="What narrows the search, as in `Client.retrieve`.")

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:  # noqa: ARG002 - LangChain's signature
        found = self.client.retrieve(query, k=self.k, **self.scope)
        event = str(found.audit_event_id)
        return [
            Document(id=str(context.chunk_id), page_content=context.chunk_text, metadata=_metadata(context, event))
            for context in found.contexts
        ]


def _metadata(context: Context, event: str) -> dict[str, Any]:
    return {
        **context.metadata, "source": context.doc_id, "document_version": context.document_version,
        "collection": context.collection, "page": context.page_start, "page_label": context.page_label,
        "score": context.score, "link": context.link, "audit_event_id": event,
    }  # fmt: skip
