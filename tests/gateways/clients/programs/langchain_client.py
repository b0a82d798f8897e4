"""LangChain: its chat model by both protocols, and the retriever of our client."""

import asyncio
import json
import os
import sys

from affidavit_client import Client
from affidavit_client.langchain import AffidavitRetriever
from langchain_openai import ChatOpenAI

question, off_topic, store = sys.argv[1:]
chat = ChatOpenAI(model="affidavit", max_retries=0)
responses = ChatOpenAI(model="affidavit", use_responses_api=True, max_retries=0)
searching = responses.bind_tools([{"type": "file_search", "vector_store_ids": [store]}])
answered = searching.invoke(question)
texts = [block for block in answered.content_blocks if block["type"] == "text"]
seen = {
    "chat": chat.invoke(question).text,
    "refused": chat.invoke(off_topic).text,
    "streamed": "".join(chunk.text for chunk in chat.stream(question)),
    "response": answered.text,
    "cited": [annotation["title"] for block in texts for annotation in block["annotations"]],
    "streamed_response": "".join(chunk.text for chunk in searching.stream(question)),
}
with Client.with_key(os.environ["AFFIDAVIT_URL"], os.environ["OPENAI_API_KEY"]) as client:
    retriever = AffidavitRetriever(client=client, k=1, scope={"source_type": "policy"})
    (document,) = retriever.invoke(question)
    (same,) = asyncio.run(retriever.ainvoke(question))
    seen["retrieved"] = [document.page_content, document.metadata["source"], same.id == document.id]
    seen["event"] = document.metadata["audit_event_id"]
print(json.dumps(seen))
