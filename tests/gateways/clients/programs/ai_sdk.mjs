// Vercel's AI SDK, by both of its ways to OpenAI's protocol.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, streamText } from "ai";

const [question, offTopic, store] = process.argv.slice(2);
const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
const seen = {};

const chat = await generateText({ model: openai.chat("affidavit"), prompt: question, maxRetries: 0 });
seen.chat = chat.text;
seen.finish = chat.finishReason;
seen.sources = chat.sources.map((source) => source.url);
seen.refused = (await generateText({ model: openai.chat("affidavit"), prompt: offTopic, maxRetries: 0 })).text;

const streamed = streamText({ model: openai.chat("affidavit"), prompt: question, maxRetries: 0 });
seen.streamed = "";
for await (const text of streamed.textStream) seen.streamed += text;

const searching = { file_search: openai.tools.fileSearch({ vectorStoreIds: [store] }) };
const response = await generateText({ model: openai.responses("affidavit"), prompt: question, tools: searching, maxRetries: 0 });
seen.response = response.text;
seen.files = response.sources.map((source) => source.filename ?? source.title);
const later = streamText({ model: openai.responses("affidavit"), prompt: question, tools: searching, maxRetries: 0 });
seen.streamed_response = "";
for await (const text of later.textStream) seen.streamed_response += text;
console.log(JSON.stringify(seen));
