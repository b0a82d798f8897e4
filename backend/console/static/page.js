// What every page does beyond its HTML: remembers the viewer's time zone, copies, and answers `/` and `?`.
const secure = location.protocol === "https:" ? "; Secure" : "";
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `zone=${encodeURIComponent(zone)}; Path=/console; SameSite=Lax; Max-Age=31536000${secure}`;

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const source = copy.dataset.copy || document.querySelector(copy.dataset.copyFrom).innerText;
    await navigator.clipboard.writeText(source);
    const said = copy.textContent;
    copy.textContent = copy.dataset.copied;
    setTimeout(() => { copy.textContent = said; }, 2000);
  }
  if (event.target.closest("[data-print]")) print();
});

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const to = { "/": "[data-search]", "?": "[data-keys]" }[event.key];
  const place = to && document.querySelector(to);
  if (!place) return;
  event.preventDefault();
  if (place.matches("dialog")) place.showModal(); else if (place.href) location.assign(place.href); else place.focus();
});

// What was typed into a long field is there again when a session that ended was opened anew.
for (const field of document.querySelectorAll("textarea[data-keep]")) {
  const name = `${location.pathname}#${field.id}`;
  const kept = sessionStorage.getItem(name);
  if (kept && !field.value) field.value = kept;
  sessionStorage.removeItem(name);
  field.form?.addEventListener("submit", () => sessionStorage.setItem(name, field.value));
}

// Sending a form twice does it once.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.target.dataset.sent) { event.preventDefault(); return; }
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => { for (const form of document.forms) delete form.dataset.sent; });
