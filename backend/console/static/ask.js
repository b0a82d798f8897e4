// Shows an answer sentence by sentence as the service sends it. Without this script the form works as any other.
const form = document.querySelector("form[data-stream]");
const place = document.querySelector("#answer");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  place.setAttribute("aria-busy", "true");
  const sheet = document.createElement("section"), said = document.createElement("p"), answer = document.createElement("p");
  sheet.className = "sheet"; said.className = "quiet"; answer.className = "answer";
  said.setAttribute("role", "status");
  said.textContent = form.dataset.searching;
  sheet.append(said, answer);
  place.replaceChildren(sheet);
  try {
    const response = await fetch(form.dataset.stream, {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/x-ndjson" },
    });
    if (!response.ok || response.redirected || !response.body) { form.submit(); return; }
    let rest = "";
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const lines = (rest + piece.value).split("\n");
      rest = lines.pop();
      for (const line of lines.filter(Boolean)) {
        const item = JSON.parse(line);
        if (item.sentence) answer.append(item.sentence);
        if (item.html) {
          place.innerHTML = item.html;
          sessionStorage.removeItem(`${location.pathname}#question`);
        }
        if (item.place) history.replaceState(null, "", item.place);  // coming back shows the answer, and asks nothing again
      }
    }
  } finally {
    button.disabled = false;
    place.removeAttribute("aria-busy");
  }
});

// A sentence and its sources light up together.
document.addEventListener("mouseover", (event) => light(event.target));
document.addEventListener("focusin", (event) => light(event.target));
function light(target) {
  const claim = target.closest?.("[data-numbers]");
  for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
  for (const number of claim?.dataset.numbers.split(" ") ?? []) {
    for (const other of document.querySelectorAll(`[data-numbers~="${number}"]`)) other.classList.add("lit");
  }
}

// Where there is room, a source opens beside the answer: the page with the cited words marked, and when it applies.
const beside = document.querySelector("#beside");
const roomy = matchMedia("(min-width: 60rem)");
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-source]");
  if (event.target.closest("[data-close]")) close();
  if (!link || !roomy.matches || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const response = await fetch(link.href).catch(() => null);
  if (!response?.ok || response.redirected) { location.assign(link.href); return; }
  const source = new DOMParser().parseFromString(await response.text(), "text/html");
  beside.querySelector("h2").textContent = source.querySelector("h1").textContent;
  beside.querySelector("div").replaceChildren(...source.querySelectorAll("[data-beside]"));
  beside.querySelector("[data-whole]").href = link.href;
  beside.from = link;
  beside.hidden = false;
  beside.focus();
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
form?.addEventListener("submit", close);
function close() {
  if (!beside || beside.hidden) return;
  beside.hidden = true;
  beside.from?.focus();
}
