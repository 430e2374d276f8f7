const root = document.documentElement;
const all = selector => [...document.querySelectorAll(selector)];

document.getElementById("theme").onclick = () => {
  const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.dataset.theme = (root.dataset.theme ?? preferred) === "dark" ? "light" : "dark";
};

// Listening: one sound at a time; the playhead runs over the part of the picture that is heard.
let playhead = document.querySelector(".playhead");
let heard = null;

const press = (key, isPressed) =>
  all(`[data-play="${key}"]`).forEach(button => button.setAttribute("aria-pressed", isPressed));

// Notes light up as they sound: a tune's sound says which event begins when, -1 for a silence.
const scores = new Map();
const scoreOf = audio => {
  if (!scores.has(audio)) {
    const numbers = (audio.dataset.events ?? "").split(" ").map(Number);
    scores.set(audio, {
      events: numbers.filter((_, i) => i % 2 === 0),
      onsets: numbers.filter((_, i) => i % 2 === 1),
    });
  }
  return scores.get(audio);
};

const sound = event => {
  if (heard.event === event) return;
  heard.event = event;
  all(".sounding").forEach(note => note.classList.remove("sounding"));
  const section = heard.audio.closest("section");
  section?.querySelectorAll(`[data-event="${event}"]`).forEach(note => note.classList.add("sounding"));
};

const followNotes = () => {
  const { events, onsets } = scoreOf(heard.audio);
  const at = onsets.findLastIndex(onset => onset <= 1000 * heard.audio.currentTime);
  sound(at < 0 ? -1 : events[at]);
};

const silence = () => {
  if (!heard) return;
  sound(-1);
  heard.audio.pause();
  press(heard.key, false);
  playhead.hidden = true;
  delete root.dataset.playing;
  heard = null;
};

const follow = () => {
  if (!heard) return;
  const { currentTime, duration, dataset } = heard.audio;
  const [start, end] = [Number(dataset.start), Number(dataset.end)];
  if (heard.audio.dataset.events) followNotes();
  playhead.style.left = `${start + (end - start) * currentTime / (duration || 1)}%`;
  requestAnimationFrame(follow);
};

const play = key => {
  const isStop = heard?.key === key;
  const before = heard?.audio;
  const at = before?.currentTime ?? 0;
  silence();
  if (isStop) return;
  const audio = document.getElementById(`sound-${key}`);
  heard = { key, audio };
  playhead = audio.closest("li, section")?.querySelector(".playhead") ?? playhead;
  const { together } = audio.dataset;  // goes on where another of its name was left
  audio.currentTime = together !== undefined && together === before?.dataset.together ? at : 0;
  audio.onended = silence;
  audio.play().catch(() => {});  // stopped before it began
  press(key, true);
  root.dataset.playing = key;
  playhead.hidden = false;
  follow();
};

document.addEventListener("click", event => {
  const button = event.target.closest("[data-play]");
  if (button) play(button.dataset.play);
});

// Segments of the picture are one stop of the Tab key; arrows walk among them.
const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };
document.addEventListener("keydown", event => {
  const segment = event.target.closest(".segment[data-play]");
  if (event.key === "Escape") silence();
  if (!segment) return;
  if (event.key === "Enter" || event.key === " ") play(segment.dataset.play);
  else if (event.key in steps) {
    const segments = all(".segment");
    const next = segments[segments.indexOf(segment) + steps[event.key]] ?? segment;
    segment.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  } else return;
  event.preventDefault();
});

// A map of a whole song is heard from where it is clicked; arrows move the cursor by 5 s.
const seek = (stage, seconds) => {
  const key = stage.dataset.seek;
  const at = Math.min(Math.max(seconds, 0), Number(stage.dataset.seconds));
  if (heard?.key !== key) play(key);
  document.getElementById(`sound-${key}`).currentTime = at;
  stage.setAttribute("aria-valuenow", at);
  stage.setAttribute("aria-valuetext", `${at.toFixed(1)} s`);
};
all("[data-seek]").forEach(stage => {
  const audio = document.getElementById(`sound-${stage.dataset.seek}`);
  stage.onclick = event => {
    const { left, width } = stage.getBoundingClientRect();
    seek(stage, Number(stage.dataset.seconds) * (event.clientX - left) / width);
  };
  stage.onkeydown = event => {
    if (event.key === "Enter" || event.key === " ") play(stage.dataset.seek);
    else if (event.key in steps) seek(stage, audio.currentTime + 5 * steps[event.key]);
    else return;
    event.preventDefault();
  };
});

// A segment lights up in the picture and in its row alike.
const light = event => {
  all(".lit").forEach(part => part.classList.remove("lit"));
  const segment = event.target.closest?.("[data-segment]")?.dataset.segment;
  if (segment) all(`[data-segment="${segment}"]`).forEach(part => part.classList.add("lit"));
};
document.addEventListener("pointerover", light);
document.addEventListener("focusin", light);

document.getElementById("download")?.addEventListener("click", () => {
  const link = document.createElement("a");
  const json = document.querySelector("script[type='application/json']");
  link.href = URL.createObjectURL(new Blob([json.textContent], { type: "application/json" }));
  link.download = `${json.id}.json`;
  link.click();
});

// A list is filtered by the text of a field.
document.addEventListener("input", event => {
  const { filter } = event.target.dataset;
  if (filter === undefined) return;
  const text = event.target.value.trim().toLowerCase();
  const parts = all(`[data-${filter}]`);
  parts.forEach(part => { part.hidden = !part.getAttribute(`data-${filter}`).includes(text); });
  document.getElementById(`${filter}-count`).textContent = parts.filter(part => part.matches("section:not([hidden])")).length;
});

// A sound is played at another tempo, and saved as a WAV file of 16 bits.
document.addEventListener("input", event => {
  const { tempo } = event.target.dataset;
  if (tempo === undefined) return;
  document.getElementById(`sound-${tempo}`).playbackRate = event.target.value / 100;
  event.target.parentElement.querySelector("output").textContent = `${event.target.value} %`;
});

const wav = (samples, rate) => {
  const file = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const words = [[0, "RIFF"], [8, "WAVE"], [12, "fmt "], [36, "data"]];
  for (const [at, text] of words) [...text].forEach((letter, i) => file.setUint8(at + i, letter.charCodeAt(0)));
  const numbers = [[4, 36 + 2 * samples.length], [16, 16], [24, rate], [28, 2 * rate], [40, 2 * samples.length]];
  for (const [at, number] of numbers) file.setUint32(at, number, true);
  for (const [at, number] of [[20, 1], [22, 1], [32, 2], [34, 16]]) file.setUint16(at, number, true);
  samples.forEach((y, i) => file.setInt16(44 + 2 * i, 32767 * Math.max(-1, Math.min(1, y)), true));
  return file.buffer;
};

document.addEventListener("click", async event => {
  const button = event.target.closest("[data-wav]");
  if (!button) return;
  const sound = atob(document.getElementById(`sound-${button.dataset.wav}`).src.split(",")[1]);
  const rate = 22050;
  const decoder = new OfflineAudioContext(1, 1, rate);
  const { buffer } = Uint8Array.from(sound, letter => letter.charCodeAt(0));
  const samples = (await decoder.decodeAudioData(buffer)).getChannelData(0);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([wav(samples, rate)], { type: "audio/wav" }));
  link.download = button.dataset.name;
  link.click();
});

// In a notebook the page is in a frame, which is made as high as the page.
const frame = window.frameElement;
if (frame) new ResizeObserver(() => { frame.style.height = `${root.offsetHeight}px`; }).observe(root);
