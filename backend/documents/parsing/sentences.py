"""The sentences of a block, each exactly as it stands in the document's text."""

from collections.abc import Iterator

from backend.documents.parsing.blocks import Block, BlockKind
from backend.language.sentences import of_document


def sentences(block: Block) -> Iterator[tuple[int, str]]:
    """Yields the start and text of each sentence; headings and table rows are one each."""
    if block.kind in {BlockKind.PARAGRAPH, BlockKind.LIST_ITEM}:
        yield from ((block.start + start, text) for start, text in of_document(block.text))
    elif block.text:
        yield block.start, block.text
