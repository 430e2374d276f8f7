"use strict";
// Jobs of the server, for all pages: submit one, and listen until it is over.

const $ = (id) => document.getElementById(id);
const post = (path, body) => fetch(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

function say(id, text, wrong = false) {
  $(id).textContent = text;
  $(id).classList.toggle("wrong", wrong);
}

async function submitted(prefix, item, kept) {
  const answer = await post(prefix + "/jobs", item).catch(() => null);
  if (!answer) throw new Error("The server does not answer. Start it again: otoscope serve. " + kept);
  if (!answer.ok) throw Object.assign(new Error(await answer.text()), { status: answer.status });
  return (await answer.json()).job;
}

function ended(prefix, key, heard, kept) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(prefix + "/jobs/" + key);
    let failures = 0;
    events.onmessage = (event) => {
      const now = JSON.parse(event.data);
      heard({ key, ...now });
      if (now.state === "done") { events.close(); resolve(now.result); }
      if (now.state === "failed") { events.close(); reject(new Error(now.result)); }
      if (now.state === "cancelled") { events.close(); reject(new Error("cancelled")); }
    };
    events.onerror = () => {
      if (events.readyState === EventSource.CLOSED || ++failures > 3) {
        events.close();
        reject(new Error("The server was ended before it answered. " + kept));
      }
    };
  });
}
