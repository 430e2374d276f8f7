"use strict";
// The composing page. What it knows is in `tune` and in the browser's storage; the server forgets.

const KEYS = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const HISTORY = "otoscope.folk.history", KEPT = 50;
const SETTINGS = ["meter", "mode", "form", "prime"], NUMBERS = ["temperature", "top_p"], WHOLE = ["seed", "n", "semitones", "model"];
const tune = { abc: "", request: null, view: null, bar: 1, keep: new Set(), past: [] };
let job = null, visual = null, control = null, viewed = 0;

// --- the server ---------------------------------------------------------------------------------

async function work(item, heard = () => {}) {
  const kept = "Your tunes are kept in this browser.";
  const key = await submitted("/folk", item, kept);
  heard({ key, state: "waiting", place: 0 });
  return ended("/folk", key, heard, kept);
}

// --- settings -----------------------------------------------------------------------------------

function request(more = {}) {
  const asked = { kind: "compose", bars_add_up: $("bars_add_up").checked };
  for (const name of SETTINGS) asked[name] = $(name).value;
  for (const name of [...NUMBERS, ...WHOLE]) asked[name] = $(name).value === "" ? null : Number($(name).value);
  return { ...asked, ...more };
}

function restore(asked) {
  for (const name of [...SETTINGS, ...NUMBERS, ...WHOLE]) if (asked[name] !== undefined) $(name).value = asked[name];
  if (asked.bars_add_up !== undefined) $("bars_add_up").checked = Boolean(asked.bars_add_up);
}

const coded = (object) => btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(object)))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const decoded = (text) => JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0))));

// --- compose ------------------------------------------------------------------------------------

async function compose(asked) {
  const started = performance.now();
  $("write").disabled = $("continue").disabled = $("anew").disabled = true;
  say("state", "writing ...");
  try {
    const written = await work(asked, (now) => {
      job = now.key;
      $("cancel").hidden = false;
      say("state", now.state === "waiting" && now.place ? `waiting: ${now.place} before this` : "writing ...");
    });
    show(written, asked);
    say("state", `${written.length} written in ${((performance.now() - started) / 1000).toFixed(1)} s`);
    document.body.dataset.written = String(Number(document.body.dataset.written || 0) + 1);
    rank(written, asked);
  } catch (problem) {
    say("state", problem.message, problem.message !== "cancelled");
  } finally {
    job = null;
    $("cancel").hidden = true;
    $("write").disabled = $("continue").disabled = $("anew").disabled = false;
  }
}

function show(written, asked) {
  const list = $("candidates");
  list.replaceChildren();
  list.hidden = written.length < 2;
  written.forEach((one, i) => {
    const button = document.createElement("button"), sheet = document.createElement("div"), about = document.createElement("small");
    button.type = "button";
    button.className = "candidate";
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", `Candidate ${i + 1}`);
    about.textContent = told(one);
    button.append(about, sheet);
    button.addEventListener("click", () => choose(one, asked, button));
    list.append(button);
    ABCJS.renderAbc(sheet, one.abc, { responsive: "resize", staffwidth: 500, scale: 0.7 });
    one.button = button;
    one.about = about;
  });
  choose(written[0], asked, written[0].button);
}

function told(one) {
  const wrong = one.view.violations.filter((v) => v.rule !== "parts").length;
  const words = [`${one.nats === null ? "?" : one.nats.toFixed(2)} nats a token`, one.view.form, wrong ? `${wrong} rules broken` : "rules kept"];
  return [...words, one.error].filter(Boolean).join(" · ");
}

async function rank(written, asked) {
  if (!$("model").dataset.judge || written.length < 2) return;
  try {
    for (const one of written) one.judged = (await work({ kind: "view", judge: true, model: asked.model, abc: one.abc })).judgement;
  } catch { return; }
  const order = (one) => one.judged ? one.judged.screens.filter((s) => !s.passed).length - one.judged.grade : 9;
  written.sort((a, b) => order(a) - order(b));
  for (const [i, one] of written.entries()) {
    if (one.judged) one.about.textContent = `${i + 1}. ${one.judged.passed ? "passes" : "fails " + one.judged.screens.filter((s) => !s.passed).map((s) => s.name).join(", ")} · ` + told(one);
    $("candidates").append(one.button);
  }
  document.body.dataset.ranked = "yes";
}

function choose(one, asked, button) {
  for (const other of $("candidates").children) other.setAttribute("aria-pressed", String(other === button));
  tune.request = { ...asked, pick: one.number };
  remember(one.abc, tune.request);
  put(one.abc, one.view);
}

// --- the tune on the desk -----------------------------------------------------------------------

function put(abc, view = null, { typed = false } = {}) {
  if (tune.abc && tune.abc !== abc) tune.past.push(tune.abc);
  tune.abc = abc;
  tune.view = view;
  if (!typed) $("abc").value = abc;
  if (!abc.trim()) return;
  draw();
  if (view) tell(view); else look();
}

function draw() {
  [visual] = ABCJS.renderAbc("sheet", tune.abc, {
    responsive: "resize", add_classes: true, staffwidth: Math.min(760, Math.max(330, $("desk").clientWidth - 40)),
    wrap: { minSpacing: 1.6, maxSpacing: 2.8, preferredMeasuresPerLine: $("desk").clientWidth < 600 ? 2 : 4 },
    clickListener: (_, __, classes) => { const found = /abcjs-mm(\d+)/.exec(classes); if (found) pick(Number(found[1]) + 1); },
  });
  $("title").textContent = visual.metaText && visual.metaText.title ? visual.metaText.title : "Tune";
  if (!control) {
    control = new ABCJS.synth.SynthController();
    control.load("#player", { onEvent: follow, onFinished: () => mark("playing", []) }, { displayRestart: true, displayPlay: true, displayProgress: true });
  }
  control.setTune(visual, false, { soundFontUrl: "/folk/sound/", program: 0, chordsOff: true }).catch((problem) => say("said", String(problem.message || problem), true));
  colour();
}

function follow(event) {
  mark("playing", (event.elements || []).flat());
  document.body.dataset.followed = String(Number(document.body.dataset.followed || 0) + 1);
}

function mark(name, elements) {
  for (const old of $("sheet").querySelectorAll("." + name)) old.classList.remove(name);
  for (const element of elements) element.classList.add(name);
}

function pick(bar) {
  tune.bar = Math.max(1, Math.min(bar, tune.view ? tune.view.bars || 1 : bar));
  $("from").textContent = tune.bar;
  mark("chosen", $("sheet").querySelectorAll(`.abcjs-mm${tune.bar - 1}`));
}

async function look() {
  const mine = ++viewed;
  try {
    const view = await work({ kind: "view", judge: Boolean($("model").dataset.judge), model: Number($("model").value), abc: tune.abc });
    if (mine === viewed) { tune.view = view; tell(view); }
  } catch (problem) { if (mine === viewed) say("said", problem.message, true); }
}

function tell(view) {
  const broken = view.violations.find((v) => v.rule === "parse");
  say("said", broken ? `line ${broken.line}, column ${broken.column}: ${broken.message}` : view.remark, Boolean(broken || view.remark));
  const items = view.violations.filter((v) => v.rule !== "parse").map((v) => (v.line ? `line ${v.line}, column ${v.column}: ` : "") + v.message);
  if (view.judgement) for (const screen of view.judgement.screens) if (!screen.passed) items.unshift(`${screen.name}: ${screen.message}`);
  $("remarks").replaceChildren(...items.slice(0, 8).map((text) => { const item = document.createElement("li"); item.textContent = text; return item; }));
  const legend = $("bars").firstElementChild;
  for (const bar of [...tune.keep]) if (bar > view.bars) tune.keep.delete(bar);
  $("bars").replaceChildren(legend, ...Array.from({ length: view.bars }, (_, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = i + 1;
    button.setAttribute("aria-pressed", String(tune.keep.has(i + 1)));
    button.addEventListener("click", () => {
      tune.keep.has(i + 1) ? tune.keep.delete(i + 1) : tune.keep.add(i + 1);
      button.setAttribute("aria-pressed", String(tune.keep.has(i + 1)));
      pick(i + 1);
    });
    return button;
  }));
  pick(tune.bar);
  colour();
  $("link").href = "#" + coded({ ...(tune.request || request()), result: tune.abc });
  document.body.dataset.told = String(Number(document.body.dataset.told || 0) + 1);
}

function colour() {
  const notes = [...$("sheet").querySelectorAll(".abcjs-note, .abcjs-rest")], nats = tune.view ? tune.view.nats : [];
  const on = $("coloured").checked && nats.length === notes.length && nats.length > 0;
  const most = Math.max(3, ...nats);
  notes.forEach((note, i) => {
    if (on) note.setAttribute("fill", `hsl(${Math.round(210 - 190 * Math.min(1, nats[i] / most))} 85% 38%)`); else note.removeAttribute("fill");
    note.dataset.nats = on ? nats[i].toFixed(2) : "";
  });
}

// --- history, files, links ----------------------------------------------------------------------

const stored = () => { try { return JSON.parse(localStorage.getItem(HISTORY)) || []; } catch { return []; } };

function remember(abc, asked) {
  const kept = stored().filter((old) => old.abc !== abc);
  kept.unshift({ abc, asked, at: new Date().toISOString() });
  try { localStorage.setItem(HISTORY, JSON.stringify(kept.slice(0, KEPT))); } catch { /* storage is full or off */ }
  list();
}

function list() {
  $("history").replaceChildren(...stored().map(({ abc, asked, at }) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.textContent = `${at.slice(0, 16).replace("T", " ")} · ${(/^M:(.*)$/m.exec(abc) || ["", ""])[1]} ${(/^K:(.*)$/m.exec(abc) || ["", ""])[1]} · ${abc.split("\n").filter((line) => !/^[A-Z]:/.test(line)).join(" ").slice(0, 40)}`;
    button.addEventListener("click", () => { restore(asked || {}); tune.request = asked; put(abc); });
    item.append(button);
    return item;
  }));
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function download(form) {
  if (form === "abc") return save(new Blob([tune.abc], { type: "text/vnd.abc" }), "tune.abc");
  if (form === "svg") {
    const svg = $("sheet").querySelector("svg").cloneNode(true);
    svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    return save(new Blob([svg.outerHTML], { type: "image/svg+xml" }), "tune.svg");
  }
  const answer = await post(`/folk/files/tune.${form}`, { abc: tune.abc }).catch(() => null);
  if (!answer || !answer.ok) return say("said", answer ? await answer.text() : "The server does not answer.", true);
  save(await answer.blob(), `tune.${form}`);
}

// --- begin --------------------------------------------------------------------------------------

function wait(milliseconds, act) {
  let timer;
  return () => { clearTimeout(timer); timer = setTimeout(act, milliseconds); };
}

function write() {
  const [last] = stored();
  if (!$("locked").checked && last && last.asked && last.asked.seed === Number($("seed").value)) $("seed").value = Number($("seed").value) + 1;
  tune.keep.clear();
  compose(request());
}

async function checkPrime() {
  const prime = $("prime").value;
  const told = (text, wrong = false) => { say("prime-said", text, wrong); $("prime").setAttribute("aria-invalid", String(wrong)); };
  if (!prime.trim()) return told("");
  try {
    await work({ ...request(), kind: "prime" });
    told("can be read");
  } catch (problem) { told(problem.message, true); }
}

async function begin() {
  KEYS.forEach((name, i) => $("semitones").append(new Option(name, i > 6 ? i - 12 : i)));
  const about = await (await fetch("/folk/about")).json();
  about.models.forEach((name, i) => $("model").append(new Option(name, i)));
  if (about.judge) $("model").dataset.judge = "yes";
  list();
  $("settings").addEventListener("submit", (event) => { event.preventDefault(); write(); });
  $("write").addEventListener("click", write);
  $("cancel").addEventListener("click", () => job && post(`/folk/jobs/${job}/cancel`, {}));
  $("continue").addEventListener("click", () => compose(request({ abc: tune.abc, from_bar: tune.bar, semitones: 0 })));
  $("anew").addEventListener("click", () => compose(request({ abc: tune.abc, keep: [...tune.keep].sort((a, b) => a - b), semitones: 0 })));
  for (const [id, semitones] of [["down", -1], ["up", 1]]) $(id).addEventListener("click", () => compose({ kind: "compose", model: Number($("model").value), abc: tune.abc, semitones }));
  $("undo").addEventListener("click", () => { const before = tune.past.pop(); if (before) { tune.abc = ""; put(before); } });
  const typed = wait(400, () => { remember($("abc").value, tune.request); put($("abc").value, null, { typed: true }); });
  $("abc").addEventListener("input", typed);
  $("prime").addEventListener("input", wait(300, checkPrime));
  $("coloured").addEventListener("change", colour);
  $("tempo").addEventListener("input", () => { $("tempo-said").textContent = `${$("tempo").value} %`; if (control) control.setWarp(Number($("tempo").value)); });
  $("files").addEventListener("click", (event) => { const form = event.target.dataset && event.target.dataset.file; if (form) download(form); });
  $("link").addEventListener("click", (event) => { event.preventDefault(); history.replaceState(null, "", $("link").getAttribute("href")); if (navigator.clipboard) navigator.clipboard.writeText(location.href).then(() => say("said", "The link is copied."), () => say("said", "The link is in the address bar.")); });
  $("forget").addEventListener("click", () => { localStorage.removeItem(HISTORY); list(); });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT|BUTTON|A)$/.test(event.target.tagName)) return;
    if (event.key === "n") write();
    if (event.key === " " && control) { event.preventDefault(); control.play(); }
  });
  if (location.hash.length > 1) {
    try {
      const { result, ...asked } = decoded(location.hash.slice(1));
      restore(asked);
      tune.request = asked;
      put(result);
    } catch { say("state", "The link is damaged: it holds no tune.", true); }
  } else if (stored().length) {
    const [{ abc, asked }] = stored();
    restore(asked || {});
    tune.request = asked;
    put(abc);
  }
  document.body.dataset.ready = "yes";
}

begin();
