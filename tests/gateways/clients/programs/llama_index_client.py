"""LlamaIndex: its model for servers like OpenAI's, and the retriever of our client."""

import json
import os
import sys

from affidavit_client import Client
from affidavit_client.llama_index import AffidavitRetriever
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

question, off_topic = sys.argv[1:]
model = OpenAILike(
    model="affidavit",
    api_base=os.environ["OPENAI_BASE_URL"],
    api_key=os.environ["OPENAI_API_KEY"],
    is_chat_model=True,
    max_retries=0,
)
seen = {
    "chat": model.chat([ChatMessage(role="user", content=question)]).message.content,
    "refused": model.complete(off_topic).text,
    "streamed": "".join(part.delta or "" for part in model.stream_chat([ChatMessage(role="user", content=question)])),
}
with Client.with_key(os.environ["AFFIDAVIT_URL"], os.environ["OPENAI_API_KEY"]) as client:
    (found,) = AffidavitRetriever(client, k=1, scope={"source_type": "policy"}).retrieve(question)
    seen["retrieved"] = [found.node.get_content(), found.node.metadata["doc_id"], found.score > 0]
    seen["event"] = found.node.metadata["audit_event_id"]
print(json.dumps(seen))
