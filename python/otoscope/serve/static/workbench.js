"use strict";
// The workbench. It sends files and settings, and shows what comes back; it decides nothing.

const HISTORY = "otoscope.work.history", KEPT = 50, LOST = "Upload the sound again.";
const files = new Map(); // File -> what the server calls it
const chosen = { sound: null };
let job = null, limits = { most_bytes: 0 };

// --- uploads ------------------------------------------------------------------------------------

async function uploaded(file) {
  if (files.has(file)) return files.get(file);
  if (file.size > limits.most_bytes) throw new Error(`${file.name} has ${megabytes(file.size)}; at most ${megabytes(limits.most_bytes)} are taken.`);
  say("state", `uploading ${file.name} ...`);
  const answer = await fetch("/work/uploads?name=" + encodeURIComponent(file.name), { method: "POST", body: file }).catch(() => null);
  if (!answer) throw new Error("The server does not answer. Start it again: otoscope serve.");
  if (!answer.ok) throw new Error(await answer.text());
  const { upload } = await answer.json();
  files.set(file, upload);
  return upload;
}

const megabytes = (bytes) => (bytes / 2 ** 20).toLocaleString("en", { maximumFractionDigits: 1 }) + " MB";

function choose(file) {
  if (!file) return;
  chosen.sound = file;
  URL.revokeObjectURL($("sound").src);
  $("sound").src = URL.createObjectURL(file);
  say("chosen", `${file.name}, ${megabytes(file.size)}`);
}

function chooseSample() {
  chosen.sound = null;
  $("file").value = "";
  $("sound").src = `/work/samples/${$("sample").value}.ogg`;
  say("chosen", `sample: ${$("sample").value}`);
}

// --- jobs ---------------------------------------------------------------------------------------

const KINDS = {
  explain: async () => ({ ...(await excerpt()), segments: $("segments").value, content: $("content").value }),
  attack: async () => ({ ...(await excerpt()), snr_db: Number($("snr").value), method: $("method").value }),
  interrogate: async () => ({ upload: await uploaded(picked("archive")[0]), changes: changes(), unlabelled: $("unlabelled").checked, padded: $("padded").checked }),
  distance: async () => ({ real: await all("real"), generated: await all("generated"), layer: $("layer").value, metric: $("metric").value, interval: $("interval").checked, per_file: $("per_file").checked, padded: $("padded").checked }),
};

function picked(id) {
  const picked = [...$(id).files];
  if (!picked.length) throw new Error(`Choose a file first: ${$(id).labels[0].textContent.trim()}.`);
  return picked;
}

async function all(id) {
  const keys = [];
  for (const file of picked(id)) keys.push(await uploaded(file));
  return keys;
}

const changes = () => Object.fromEntries([...document.querySelectorAll("#changes input[type=checkbox]")].filter((box) => box.checked).map((box) => {
  const dose = $("dose-" + box.value);
  return [box.value, dose ? Number(dose.value) : 1];
}));

async function excerpt() {
  const sound = chosen.sound ? { upload: await uploaded(chosen.sound) } : { sample: $("sample").value };
  return { ...sound, target: $("target").value, start: optional("start"), padded: $("padded").checked };
}

const optional = (id) => $(id).value === "" ? null : Number($(id).value);

const names = (id) => [...$(id).files].map((file) => file.name).join(", ").slice(0, 80);
const title = (kind) => kind === "interrogate" ? names("archive") : kind === "distance" ? `${names("real")} and ${names("generated")}` : chosen.sound ? chosen.sound.name : $("sample").value;

async function run(kind) {
  const started = performance.now();
  let key = null;
  busy(true);
  say("state", "");
  try {
    const name = title(kind);
    key = await entered(kind);
    const result = await ended("/work", key, progressed, LOST);
    remember({ key, kind, name, model: $("model").value, sentence: result.sentence, result: result.result });
    show(result);
    say("state", `done in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  } catch (problem) {
    const failed = problem.message !== "cancelled";
    say("state", problem.message, failed);
    if (failed && key) $("result").hidden = true; // an earlier one would be taken for this one's
  } finally {
    busy(false);
    document.body.dataset.runs = String(Number(document.body.dataset.runs || 0) + 1);
  }
}

async function entered(kind) {
  const item = async () => ({ kind, model: $("model").value, ...(await KINDS[kind]()) });
  try {
    return await submitted("/work", await item(), LOST);
  } catch (problem) {
    if (problem.status !== 410) throw problem;
    files.clear(); // the server has deleted them: once more
    return submitted("/work", await item(), LOST);
  }
}

function progressed(now) {
  job = now.key;
  $("cancel").hidden = false;
  const { done, of, doing } = now.said || {};
  if (now.state === "waiting") say("state", now.place ? `waiting: ${now.place} before this` : "waiting ...");
  else if (now.state === "working") say("state", doing ? `working: ${doing}${of ? `, ${done} of ${of}` : ""}` : "working ...");
  if (now.said && of) { $("progress").max = of; $("progress").value = done; } else $("progress").removeAttribute("value");
}

function busy(is) {
  for (const button of document.querySelectorAll("[data-run]")) button.disabled = is;
  $("progress").hidden = !is;
  $("progress").removeAttribute("value");
  if (!is) { $("cancel").hidden = true; job = null; }
}

// --- results ------------------------------------------------------------------------------------

function show(result) {
  $("result").hidden = false;
  $("sentence").textContent = result.sentence;
  $("notes").replaceChildren(...(result.notes || []).map((text) => element("li", text)));
  $("table").replaceChildren(...(result.table ? [table(result.table)] : []));
  const place = (name) => `/work/results/${result.result}/${name}`;
  $("files").replaceChildren(...result.files.map((name) => {
    const link = element("a", "Download " + name);
    link.href = place(name);
    link.download = name;
    return link;
  }));
  if (result.files.includes("report.html")) {
    const link = element("a", "Open the report in a tab");
    Object.assign(link, { href: place("report.html"), target: "_blank", rel: "noopener" });
    $("files").prepend(link);
  }
  $("report").hidden = !result.files.includes("report.html");
  if (!$("report").hidden) $("report").src = place("report.html");
  if (result.outputs) $("targets").replaceChildren(...result.outputs.map((name) => new Option(name)));
  document.body.dataset.shown = result.result;
  $("result").scrollIntoView({ block: "nearest" });
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function table(rows) {
  const made = document.createElement("table");
  rows.forEach((row, i) => {
    const line = made.insertRow();
    line.append(...row.map((cell) => element(i ? "td" : "th", cell)));
  });
  return made;
}

// --- history ------------------------------------------------------------------------------------

const stored = () => { try { return JSON.parse(localStorage.getItem(HISTORY)) || []; } catch { return []; } };

function remember(entry) {
  const kept = [{ ...entry, at: new Date().toISOString() }, ...stored()].slice(0, KEPT);
  try { localStorage.setItem(HISTORY, JSON.stringify(kept)); } catch { /* storage is full or off */ }
  list();
}

function list() {
  $("history").replaceChildren(...stored().map((entry) => {
    const item = document.createElement("li"), button = element("button", `${String(entry.at).slice(0, 16).replace("T", " ")} · ${entry.kind} · ${entry.name} · ${entry.model}: ${shortened(String(entry.sentence))}`);
    button.type = "button";
    button.addEventListener("click", () => reopen(entry));
    item.append(button);
    return item;
  }));
}

const shortened = (text) => text.length > 80 ? text.slice(0, 80).replace(/\s+\S*$/, "") + " …" : text;

async function reopen({ key }) {
  try {
    show(await ended("/work", encodeURIComponent(key), () => {}, ""));
    say("state", "");
  } catch {
    say("state", "The server no longer has this result; run it again.", true);
  }
}

async function forget() {
  const keys = [...files.values(), ...stored().map((entry) => entry.result)];
  const answer = await post("/work/forget", { keys }).catch(() => null);
  files.clear();
  localStorage.removeItem(HISTORY);
  list();
  $("result").hidden = true;
  $("report").removeAttribute("src");
  say("state", answer && answer.ok ? "Deleted." : "Deleted here; the server does not answer.", !(answer && answer.ok));
}

// --- begin --------------------------------------------------------------------------------------

function tab(name) {
  for (const one of document.querySelectorAll("[role=tab]")) {
    const is = one.id === "tab-" + name;
    one.setAttribute("aria-selected", String(is));
    one.tabIndex = is ? 0 : -1;
    $(one.getAttribute("aria-controls")).hidden = !is;
  }
}

function tabs() {
  const all = [...document.querySelectorAll("[role=tab]")];
  all.forEach((one, i) => {
    one.addEventListener("click", () => tab(one.id.slice(4)));
    one.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = all[(i + step + all.length) % all.length];
      tab(next.id.slice(4));
      next.focus();
    });
  });
  tab(all[0].id.slice(4));
}

function described(select, entries, place) {
  select.replaceChildren(...entries.map(({ name }) => new Option(name)));
  const tell = () => { $(place).textContent = (entries.find(({ name }) => name === select.value) || {}).about || ""; };
  select.addEventListener("change", tell);
  tell();
}

function change({ name, title, about, usual }, i) {
  const pair = element("div", ""), label = element("label", ""), box = document.createElement("input");
  pair.className = "pair";
  label.className = "check";
  label.title = about;
  Object.assign(box, { type: "checkbox", value: name, id: "change-" + name, checked: i === 0 });
  label.append(box, title);
  pair.append(label);
  if (usual === null) return pair;
  const dose = Object.assign(document.createElement("input"), { type: "number", step: "any", value: usual, id: "dose-" + name });
  dose.setAttribute("aria-label", `Dose: ${about}`);
  pair.append(dose);
  return pair;
}

async function begin() {
  const about = await (await fetch("/work/about")).json();
  limits = about;
  $("kept").textContent = `Sounds go to this server only, and are deleted ${about.kept_minutes} minutes after their last use.`;
  $("sample").replaceChildren(...about.samples.map((name) => new Option(name)));
  $("segments").replaceChildren(...about.segments.map(({ name, about: told }) => new Option(told, name)));
  described($("model"), about.models, "about");
  described($("content"), about.contents, "content-about");
  described($("method"), about.methods, "method-about");
  $("changes").append(...about.changes.map(change));
  const snr = () => { $("snr-said").textContent = $("snr").value + " dB"; };
  $("snr").addEventListener("input", snr);
  snr();
  $("model").addEventListener("change", () => { $("target").value = ""; $("targets").replaceChildren(); });
  tabs();
  list();
  chooseSample();
  $("sample").addEventListener("change", chooseSample);
  $("file").addEventListener("change", () => choose($("file").files[0]));
  for (const name of ["dragover", "dragleave", "drop"]) $("drop").addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") choose(event.dataTransfer.files[0]);
  });
  $("settings").addEventListener("submit", (event) => event.preventDefault());
  for (const button of document.querySelectorAll("[data-run]")) button.addEventListener("click", () => run(button.dataset.run));
  $("cancel").addEventListener("click", () => job && post(`/work/jobs/${job}/cancel`, {}));
  $("forget").addEventListener("click", forget);
  $("report").addEventListener("load", () => { document.body.dataset.seen = document.body.dataset.shown; });
  document.body.dataset.ready = "yes";
}

begin();
