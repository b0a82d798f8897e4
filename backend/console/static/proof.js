// Verifies in this browser that an event is in the sealed log: RFC 6962 inclusion, and the checkpoint's Ed25519 signature.
const place = document.querySelector("[data-proof]");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const decoded = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));
const same = (a, b) => a.length === b.length && a.every((octet, n) => octet === b[n]);

async function root(leaf, index, size, proof) {
  let hash = leaf, at = index, last = size - 1;
  for (const sibling of proof) {
    if (last === 0) return null;
    if (at % 2 === 1 || at === last) {
      hash = await sha256(Uint8Array.of(1), sibling, hash);
      while (at % 2 === 0 && at !== 0) { at = Math.floor(at / 2); last = Math.floor(last / 2); }
    } else {
      hash = await sha256(Uint8Array.of(1), hash, sibling);
    }
    at = Math.floor(at / 2); last = Math.floor(last / 2);
  }
  return last === 0 ? hash : null;
}

async function verify(told) {
  const leaf = await sha256(Uint8Array.of(0), new TextEncoder().encode(told.envelope));
  const cut = told.checkpoint.lastIndexOf("\n\n");
  const text = told.checkpoint.slice(0, cut + 1);
  const [, size, rootText] = text.split("\n");
  const computed = await root(leaf, told.leaf_index, Number(size), told.proof.map(bytes));
  if (!computed || !same(computed, decoded(rootText))) return "This event is not in the log that the checkpoint commits to.";
  if (!told.public_key) return "The event is in the log. The service has published no key, so the checkpoint's signature was not checked.";
  const [name, , encoded] = told.public_key.split("+").length > 3 ? [told.public_key.split("+")[0], "", told.public_key.split("+").slice(2).join("+")] : told.public_key.split("+");
  const key = await crypto.subtle.importKey("raw", decoded(encoded).slice(1), { name: "Ed25519" }, false, ["verify"]);
  for (const line of told.checkpoint.slice(cut + 2).split("\n")) {
    const [, signer, signature] = line.split(" ");
    if (signer !== name) continue;
    if (await crypto.subtle.verify("Ed25519", key, decoded(signature).slice(4), new TextEncoder().encode(text))) {
      return `Verified in this browser: the event is leaf ${told.leaf_index} of ${size}, and ${name} signed the checkpoint.`;
    }
  }
  return "No signature of the published key is under the checkpoint.";
}

if (place) {
  const result = place.querySelector("[data-result]");
  try {
    const answer = await fetch(place.dataset.proof, { headers: { Accept: "application/json" } });
    const told = await answer.json();
    result.textContent = answer.ok ? await verify(told) : told.detail;
    place.classList.toggle("good", result.textContent.startsWith("Verified"));
  } catch (error) {
    result.textContent = `This browser could not verify it: ${error.message}`;
  }
}
