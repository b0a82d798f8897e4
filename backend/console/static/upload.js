// Sends several files one by one, by choice or by drag and drop, and follows each until it is a version. Without it the form sends one.
const form = document.querySelector("form[data-upload]");
const drop = form.querySelector(".drop");
const list = document.querySelector("#uploads");
const words = list.dataset;
const field = form.querySelector("input[type=file]");
field.multiple = true;

drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  field.files = event.dataTransfer.files;
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const files = [...field.files];
  if (!files.length) { field.focus(); return; }
  const others = new FormData(form);
  others.delete("file");
  form.reset();
  for (const file of files) await send(file, others);
});

async function send(file, others) {
  const row = document.createElement("li");
  const name = document.createElement("strong"), bar = document.createElement("progress"), said = document.createElement("span");
  name.textContent = file.name;
  bar.max = 1; bar.value = 0;
  bar.setAttribute("aria-label", file.name);
  said.className = "quiet";
  said.setAttribute("role", "status");
  row.append(name, document.createElement("br"), bar, " ", said);
  list.append(row);
  const body = new FormData();
  for (const [key, value] of others) body.append(key, value);
  body.append("file", file);
  const answer = await posted(form.action, body, (share) => {
    bar.value = share;
    said.textContent = words.sending;
  });
  if (answer.problem) return failed(row, bar, said, answer.problem);
  await follow(answer.place, row, bar, said);
}

function posted(address, body, progressed) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => progressed(event.loaded / event.total);
    request.onload = () => { try { done(JSON.parse(request.responseText)); } catch { done({ problem: words.broken }); } };
    request.onerror = () => done({ problem: words.broken });
    request.send(body);
  });
}

async function follow(place, row, bar, said) {
  if (!place.includes("/uploads/")) return finished(row, bar, said, { place, known: true });
  for (;;) {
    const job = await (await fetch(place, { headers: { Accept: "application/json" } })).json();
    if (job.total) { bar.max = job.total; bar.value = job.done; } else bar.removeAttribute("value");
    said.textContent = job.done ? `${words.reading} ${job.done}` : words.waiting;
    if (job.status === "succeeded") return finished(row, bar, said, job);
    if (job.ended) return failed(row, bar, said, job.problem);
    await new Promise((wait) => setTimeout(wait, 600));
  }
}

function finished(row, bar, said, job) {
  bar.remove();
  const link = document.createElement("a");
  link.href = job.place;
  link.textContent = words.open;
  said.textContent = job.known ? words.known : job.review ? words.review : words.made;
  if (job.warnings) said.textContent += ` ${words.warned.replace("0", job.warnings)}`;
  row.append(" ", link);
}

function failed(row, bar, said, problem) {
  bar.remove();
  said.className = "state bad";
  said.textContent = problem;
}
