"""Cuts documents of tests, whose blocks are at hand."""

from collections.abc import Iterable, Iterator

from backend.documents.chunks.chunking import Chunk, Chunker, ChunkSize, CountTokens
from backend.documents.parsing.blocks import Block


def chunks_of(blocks: Iterable[Block], count_tokens: CountTokens, size: ChunkSize) -> Iterator[Chunk]:
    """Yields the chunks of a document whose blocks are at hand."""
    chunker = Chunker(count_tokens, size)
    for block in blocks:
        yield from chunker.add(block)
    yield from chunker.finish()
