// The official client for JavaScript.
import OpenAI from "openai";

const [question, offTopic] = process.argv.slice(2);
const client = new OpenAI({ maxRetries: 0 });
const messages = [{ role: "user", content: question }];
const seen = { models: [] };
for await (const model of client.models.list()) seen.models.push(model.id);

const chat = await client.chat.completions.create({ model: "affidavit", messages });
seen.chat = chat.choices[0].message.content;
seen.annotations = chat.choices[0].message.annotations.map((annotation) => annotation.type);
const refusal = await client.chat.completions.create({ model: "affidavit", messages: [{ role: "user", content: offTopic }] });
seen.refused = [refusal.choices[0].finish_reason, refusal.metadata.refused];

const stream = client.chat.completions.stream({ model: "affidavit", messages, stream_options: { include_usage: true } });
const final = await stream.finalChatCompletion();
seen.streamed = final.choices[0].message.content;
seen.usage = final.usage !== undefined;

const store = (await client.vectorStores.list()).data[0];
const tools = [{ type: "file_search", vector_store_ids: [store.id] }];
const response = await client.responses.create({ model: "affidavit", input: question, tools });
seen.response = response.output_text;
seen.file = response.output.at(-1).content[0].annotations[0].filename;
const streamed = await client.responses.stream({ model: "affidavit", input: question, tools }).finalResponse();
seen.streamed_response = streamed.output_text;
seen.again = (await client.responses.retrieve(response.id)).output.at(-1).content[0].text;
seen.found = (await client.vectorStores.search(store.id, { query: question })).data[0].filename;
try {
  await client.chat.completions.create({ model: "affidavit", messages, n: 2 });
} catch (error) {
  seen.error = [error.param, error.code];
}
console.log(JSON.stringify(seen));
