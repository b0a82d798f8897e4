"""LlamaIndex finds passages through this retriever; what is found is on record, like every retrieval."""

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from .client import Client
from .models import Context, Scope


class AffidavitRetriever(BaseRetriever):
    """Returns the best passages as nodes with scores, and where each stands as metadata."""

    def __init__(self, client: Client, *, k: int = 5, scope: Scope | None = None) -> None:
        """Takes a client, how many passages to return, and what narrows the search."""
        super().__init__()
        self._client = client
        self._k = k
        self._scope = scope or Scope()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self._client.retrieve(query_bundle.query_str, k=self._k, **self._scope)
        return [_node(context, str(found.audit_event_id)) for context in found.contexts]


def _node(context: Context, event: str) -> NodeWithScore:
    metadata = {
        **context.metadata, "doc_id": context.doc_id, "document_version": context.document_version,
        "collection": context.collection, "page": context.page_start, "page_label": context.page_label, "link": context.link,
        "audit_event_id": event,
    }  # fmt: skip
    node = TextNode(id_=str(context.chunk_id), text=context.chunk_text, metadata=metadata)
    return NodeWithScore(node=node, score=context.score)
