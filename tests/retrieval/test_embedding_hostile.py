"""An embedding server that means harm: whatever it sends ends at a bound, and is the server's error and never one of ours."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from backend.retrieval.embedding.embedder import EmbedderUnavailable
from backend.retrieval.embedding.remote import RemoteEmbedder

pytestmark = pytest.mark.anyio

VECTOR = "[1.0,2.0,3.0]"
BIG = "9" * 400


def item(embedding: str, index: str = "0") -> str:
    return f'{{"data":[{{"object":"embedding","index":{index},"embedding":{embedding}}}],"model":"m"}}'


def sent(body: bytes | str, head: str = "", status: str = "200 OK") -> bytes:
    body = body.encode() if isinstance(body, str) else body
    said = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{head}\r\n"
    return said.encode() + body


ANSWERS: dict[str, bytes] = {
    "nothing": sent(b""),
    "no JSON": sent(b"<html>secret</html>"),
    "not UTF-8": sent(b'{"data":"\xff\xfe"}'),
    "nested without end": sent("[" * 200_000),
    "a deep vector": sent(item("[" * 50_000 + "]" * 50_000)),
    "surrogates": sent('{"data":[{"index":0,"embedding":["\\ud800","\\udfff","\\ud800"]}]}'),
    "a list": sent("[]"), "a number": sent("7"), "null": sent("null"), "no data": sent("{}"), "data of null": sent('{"data":null}'),
    "data of texts": sent('{"data":["a"]}'), "data of nulls": sent('{"data":[null]}'), "an object": sent('{"data":{"a":1}}'),
    "no number": sent(item("[NaN,1,1]")), "without end": sent(item("[Infinity,1,1]")), "beyond a float": sent(item("[1e999,1,1]")),
    "beyond 32 bits": sent(item("[1e300,1,1]")), "a long whole number": sent(item(f"[{BIG},1,1]")),
    "a whole number of 5,000 digits": sent(item(f"[{'9' * 5000},1,1]")), "too small": sent(item("[1e-320,0,0]")),
    "texts": sent(item('["a","b","c"]')), "nulls": sent(item("[null,null,null]")), "vectors of vectors": sent(item("[[1],[2],[3]]")),
    "vectors of empty ones": sent(item("[[],[],[]]")), "objects": sent(item("[{},{},{}]")), "an object for a vector": sent(item('{"a":1,"b":2,"c":3}')),
    "a text for a vector": sent(item('"abc"')), "ragged": sent(item("[1,[2],3]")), "too long": sent(item(str([1.0] * 100_000))),
    "an index of null": sent(f'{{"data":[{{"index":null,"embedding":{VECTOR}}},{{"index":"a","embedding":{VECTOR}}}]}}'),
    "another's index": sent(item(VECTOR, "7")), "an index below": sent(item(VECTOR, "-1")), "more than asked": sent(
        json.dumps({"data": [{"index": n, "embedding": [1, 2, 3]} for n in range(2)]})
    ),
    "compressed": sent(gzip.compress(b" " * 100_000_000), "Content-Encoding: gzip\r\n"),
    "led elsewhere": sent(b"", "Location: http://127.0.0.1:1/\r\n", "307 Temporary Redirect"),
    "no HTTP": b"\x00\x01\x02\x03" * 100,
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000,
}  # fmt: skip


@asynccontextmanager
async def answering(write: Callable[[], Iterator[bytes]]) -> AsyncIterator[RemoteEmbedder]:
    """An embedder whose server answers each request with some bytes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            for piece in write():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        embedder = RemoteEmbedder(f"http://127.0.0.1:{port}/v1", "letters", None, dimensions=3, timeout=20.0)
        embedder._client.max_retries = 0  # else it waits between tries that all fail
        try:
            yield embedder
        finally:
            await embedder.aclose()


async def test_the_server_of_these_tests_is_read_when_it_answers_well() -> None:
    async with answering(lambda: iter([sent(item(VECTOR))])) as embedder:
        assert (await embedder.embed_query("a")).shape == (3,)


@pytest.mark.parametrize("case", ANSWERS)
async def test_a_hostile_answer_is_an_error_of_the_embedding_server(case: str) -> None:
    async with answering(lambda: iter([ANSWERS[case]])) as embedder:
        with pytest.raises(EmbedderUnavailable) as refused:
            await embedder.embed_query("a")
        assert "secret" not in str(refused.value)
        assert len(str(refused.value)) < 200


async def test_a_body_without_end_ends_at_the_bound() -> None:
    sizes = []

    def endless() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        while True:
            sizes.append(65536)
            yield b"10000\r\n" + b" " * 65536 + b"\r\n"

    async with answering(endless) as embedder:
        with pytest.raises(EmbedderUnavailable):
            await embedder.embed_query("a")
    assert sum(sizes) < 64 * 1024 * 1024
