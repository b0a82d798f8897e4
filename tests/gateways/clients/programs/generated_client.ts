// The README's recipe, by a client that was generated from the API's document: ingest, find, answer, read the record.
import { createClient } from "./client/client/index.js";
import {
  answersAnswer,
  auditGetEvent,
  documentsIngest,
  identityIssueToken,
  retrievalRetrieve,
} from "./client/index.js";

const [url, tenant, password] = process.argv.slice(2) as [string, string, string];
const question = "How long do customers have to file card disputes?";

async function signIn(username: string) {
  const body = { client_id: tenant, username, password };
  const { data } = await identityIssueToken({ client: createClient({ baseUrl: url }), body, throwOnError: true });
  return createClient({ baseUrl: url, auth: data.access_token });
}

const chunk = {
  doc_id: "pol-001",
  chunk_text: "Card disputes must be filed within 60 days of statement date.",
  source_type: "policy",
  metadata: { jurisdiction: "US" },
};
await documentsIngest({ client: await signIn("editor"), body: chunk, throwOnError: true });
const analyst = await signIn("analyst");
const filters = { jurisdiction: ["US", "CA"], limit: { exists: false } };
const found = await retrievalRetrieve({ client: analyst, body: { query: question, filters }, throwOnError: true });
const answered = await answersAnswer({ client: analyst, body: { question }, throwOnError: true });
const path = { event_id: answered.data.audit_event_id };
const read = await auditGetEvent({ client: await signIn("compliance"), path, throwOnError: true });
const refused = await auditGetEvent({ client: analyst, path });
const seen = [found.data.contexts[0]?.chunk_text, answered.data.answer, read.data.event["action"], refused.error?.error];
console.log(JSON.stringify(seen));
