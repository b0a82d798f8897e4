"""The official client for Python; versions 3 with strict validation of what comes back."""

import json
import sys

import openai

question, off_topic, strict = sys.argv[1], sys.argv[2], sys.argv[3] == "strict"
client = openai.OpenAI(_strict_response_validation=strict, max_retries=0)
asked = [{"role": "system", "content": "Be a pirate."}, {"role": "user", "content": question}]
seen: dict[str, object] = {"models": [model.id for model in client.models.list()]}

chat = client.chat.completions.create(model="affidavit", messages=asked)
seen["chat"] = chat.choices[0].message.content
seen["annotations"] = [annotation.type for annotation in chat.choices[0].message.annotations or ()]
refusal = client.chat.completions.create(model="affidavit", messages=[{"role": "user", "content": off_topic}])
seen["refused"] = [refusal.choices[0].finish_reason, refusal.model_dump()["metadata"]["refused"]]

stream = client.chat.completions.create(
    model="affidavit", messages=asked, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
seen["streamed"] = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
seen["usage"] = chunks[-1].usage is not None

store = client.vector_stores.list().data[0]
searching = [{"type": "file_search", "vector_store_ids": [store.id]}]
response = client.responses.create(model="affidavit", input=question, tools=searching)
seen["response"] = response.output_text
seen["file"] = response.output[-1].content[0].annotations[0].filename
events = list(client.responses.create(model="affidavit", input=question, tools=searching, stream=True))
seen["streamed_response"] = events[-1].response.output_text
seen["again"] = client.responses.retrieve(response.id).output_text
seen["found"] = client.vector_stores.search(store.id, query=question).data[0].filename
try:
    client.chat.completions.create(model="affidavit", messages=asked, n=2)
except openai.BadRequestError as error:
    seen["error"] = [error.param, error.code]
print(json.dumps(seen))
