// Verifies in this browser that an event is in the sealed log: RFC 6962 inclusion, and the Ed25519 signature under the checkpoint.
const words = document.querySelector("[data-words]").dataset;
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const decoded = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));
const same = (a, b) => a.length === b.length && a.every((octet, n) => octet === b[n]);

async function root(leaf, index, size, proof) {
  if (!(index >= 0 && index < size)) return null;
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

// A checkpoint that is not signed by itself is a leaf of the log of all checkpoints, which was signed at the same time.
async function proven([head, proof, signed], name) {
  const [, place, ...hashes] = proof.split("\n"), [origin, size, rootText, time] = signed.split("\n");
  const leaf = await sha256(Uint8Array.of(0), new TextEncoder().encode(head + "\n"));
  const computed = await root(leaf, Number(place.replace("index ", "")), Number(size), hashes.map(decoded));
  return computed && same(computed, decoded(rootText)) && origin === `${name}/checkpoints` && head.split("\n")[3] === time;
}

async function verify(told) {
  const leaf = await sha256(Uint8Array.of(0), new TextEncoder().encode(told.envelope));
  const blocks = told.checkpoint.split("\n\n");
  const text = blocks.at(-2) + "\n";
  const [, size, rootText] = blocks[0].split("\n");
  const computed = await root(leaf, told.leaf_index, Number(size), told.proof.map(bytes));
  if (!computed || !same(computed, decoded(rootText))) return { good: false, said: words.foreign };
  if (!told.public_key) return { said: words.keyless };
  const signatures = blocks.at(-1).split("\n").map((line) => line.split(" "));
  for (const published of told.public_key.trim().split("\n")) {  // a key that was exchanged has several lines
    const [name, , ...rest] = published.split("+");  // base64 has + too
    const key = await crypto.subtle.importKey("raw", decoded(rest.join("+")).slice(1), { name: "Ed25519" }, false, ["verify"]);
    for (const [, signer, signature] of signatures) {
      if (signer !== name || (blocks.length > 2 && !(await proven(blocks, name)))) continue;
      if (await crypto.subtle.verify("Ed25519", key, decoded(signature).slice(4), new TextEncoder().encode(text))) {
        const filled = { leaf: told.leaf_index, size, name };
        return { good: true, said: words.verified.replace(/\{(\w+)\}/g, (_, part) => filled[part]) };
      }
    }
  }
  return { good: false, said: words.unsigned };
}

async function check(place) {
  const result = place.querySelector("[data-result]");
  result.textContent = words.checking;
  try {
    const answer = await fetch(place.dataset.proof, { headers: { Accept: "application/json" } });
    const told = await answer.json();
    const found = told.envelope ? await verify(told) : { said: words.unsealed };
    result.textContent = found.said;
    place.classList.toggle("good", found.good === true);
    place.classList.toggle("bad", found.good === false);
  } catch (error) {
    result.textContent = `${words.unable} ${error.message}`;
  }
}

for (const place of document.querySelectorAll("[data-proof]")) {
  const button = place.querySelector("button[data-check]");
  if (button) button.addEventListener("click", () => check(place)); else check(place);
}
