// Shows an answer sentence by sentence as the service sends it. Without this script the form works as any other.
const form = document.querySelector("form[data-stream]");
const place = document.querySelector("#answer");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  place.setAttribute("aria-busy", "true");
  place.innerHTML = '<section class="sheet"><p class="quiet" role="status">Searching the documents…</p><p class="answer"></p></section>';
  try {
    const answer = await fetch(form.dataset.stream, {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/x-ndjson" },
    });
    if (!answer.ok || !answer.body) { form.submit(); return; }
    const shown = place.querySelector(".answer");
    let rest = "";
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const lines = (rest + piece.value).split("\n");
      rest = lines.pop();
      for (const line of lines.filter(Boolean)) {
        const item = JSON.parse(line);
        if (item.sentence) shown.append(item.sentence);
        if (item.html) place.innerHTML = item.html;
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
