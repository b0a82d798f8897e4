"""LiteLLM, which passes an end user on as `safety_identifier`."""

import json
import os
import sys

import litellm

question, off_topic = sys.argv[1:]
litellm.telemetry = False
asked = {"model": "openai/affidavit", "api_base": os.environ["OPENAI_BASE_URL"], "num_retries": 0}


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


answered = litellm.completion(messages=said(question), safety_identifier="employee-7", **asked)
streamed = litellm.completion(messages=said(question), stream=True, **asked)
seen = {
    "chat": answered.choices[0].message.content,
    "annotations": [annotation["type"] for annotation in answered.choices[0].message.annotations],
    "refused": litellm.completion(messages=said(off_topic), **asked).choices[0].message.content,
    "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in streamed),
    "response": litellm.responses(input=question, **asked).output[-1].content[0].text,
}
print(json.dumps(seen))
