{
  const test = JSON.parse(document.getElementById("listening").textContent);
  const columns = ["test", "listener", "position", "trial", "stimulus", "answer", "seconds"];
  const rows = [];
  const heardHere = new Set();
  let listener = "";
  let order = [];
  let position = 0;
  let began = 0;

  const sectionOf = key => document.querySelector(`[data-trial="${key}"]`);

  // Each listener has an order of their own, which the name gives again: FNV-1a, then xorshift.
  const generator = text => {
    let state = 2166136261;
    for (const byte of new TextEncoder().encode(text)) state = Math.imul(state ^ byte, 16777619);
    state = state >>> 0 || 1;
    const next = () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) / 4294967296;
    };
    for (let i = 0; i < 16; i++) next();
    return next;
  };
  const shuffled = (list, next) => {
    const result = [...list];
    for (let i = result.length - 1; i > 0; i--) {
      const j = Math.floor(next() * (i + 1));
      [result[i], result[j]] = [result[j], result[i]];
    }
    return result;
  };

  const arrange = (trial, next) => {
    const list = sectionOf(trial.key).querySelector(".stimuli");
    shuffled(trial.stimuli, next).forEach((token, i) => {
      const row = list.querySelector(`[data-token="${token}"]`);
      const letter = String.fromCharCode(65 + i);
      list.append(row);
      row.querySelectorAll(".letter").forEach(part => { part.textContent = letter; });
      row.querySelector("[type=range]")?.setAttribute("aria-label", `Rating of ${letter}`);
    });
  };

  const answersOf = trial => {
    const section = sectionOf(trial.key);
    if (test.kind === "abx") {
      const choice = section.querySelector(":checked");
      return choice ? [[trial.open, choice.value]] : [];
    }
    const rated = [...section.querySelectorAll(".stimuli li")].filter(row => row.dataset.rated);
    return rated.map(row => [row.dataset.token, row.querySelector("[type=range]").value]);
  };

  const check = () => {
    const trial = order[position];
    if (!trial) return;
    const tokens = [...trial.stimuli, ...(trial.open ? [trial.open] : [])];
    const n = test.kind === "abx" ? 1 : trial.stimuli.length;
    const isDone = tokens.every(token => heardHere.has(token)) && answersOf(trial).length === n;
    sectionOf(trial.key).querySelector(".next").disabled = !isDone;
  };

  const show = () => {
    document.querySelectorAll(".trial").forEach(section => { section.hidden = true; });
    heardHere.clear();
    began = performance.now();
    const trial = order[position];
    if (!trial) {
      document.getElementById("end").hidden = false;
      return;
    }
    const section = sectionOf(trial.key);
    section.querySelector("h2").textContent = `Trial ${position + 1} of ${order.length}`;
    section.hidden = false;
  };

  document.getElementById("listener").addEventListener("submit", event => {
    event.preventDefault();
    listener = new FormData(event.target).get("listener").trim();
    if (!listener) return;
    const next = generator(`${test.test} ${listener}`);
    order = shuffled(test.trials, next);
    order.forEach(trial => arrange(trial, next));
    document.getElementById("start").hidden = true;
    show();
  });

  const rate = event => {
    const row = event.target.closest?.(".stimuli li");
    if (row && event.target.type === "range") {
      row.dataset.rated = "yes";
      row.querySelector("output").textContent = event.target.value;
    }
    if (row) check();
  };
  ["input", "change", "pointerup", "keyup"].forEach(kind => document.addEventListener(kind, rate));

  document.addEventListener("click", event => {
    const button = event.target.closest("[data-play]");
    if (button) {
      heardHere.add(button.dataset.play);
      check();
    }
    if (!event.target.closest(".next")) return;
    const trial = order[position];
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    for (const [stimulus, answer] of answersOf(trial)) {
      rows.push([test.test, listener, position + 1, trial.key, stimulus, answer, seconds]);
    }
    silence();
    position += 1;
    show();
  });

  document.getElementById("answers").addEventListener("click", () => {
    const quoted = value => `"${String(value).replaceAll('"', '""')}"`;
    const lines = [columns, ...rows].map(row => row.map(quoted).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
    link.download = `answers-${listener.replace(/[^A-Za-z0-9-]+/g, "-")}.csv`;
    link.click();
  });
}
