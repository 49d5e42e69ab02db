// SPDX-License-Identifier: MIT
// The stream of events.  It is read with fetch, which can send credentials.  Last-Event-ID resumes it after a pause.
import { headers, credentials, onCredentials } from "./api.js";

const handlers = new Set();
const watchers = new Set();
let state = "connecting",
  lastId = null,
  stop = null,
  wait = 0,
  lastHeard = Date.now(),
  watch = null;
const SILENCE = 50000;

export const connection = () => state;
export const silentSince = () => lastHeard;
export const onConnection = f => {
  watchers.add(f);
  return () => watchers.delete(f);
};
/** Calls f(name, object) for each event: agent, run, target, config.  After reset everything must be read again. */
export const onEvent = f => {
  handlers.add(f);
  return () => handlers.delete(f);
};

function become(next) {
  if (next === state) return;
  state = next;
  for (const f of watchers) f(state);
}
function tell(name, data) {
  for (const f of handlers) {
    try {
      f(name, data);
    } catch (e) {
      reportError(e);
    }
  }
}
function take(block) {
  let name = "message",
    data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("id:")) lastId = line.slice(3).trim();
    else if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data += line.slice(5).trim();
  }
  if (data) tell(name, JSON.parse(data));
}
async function read(signal) {
  const answer = await fetch("/api/events", {
    headers: headers({ Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) }),
    signal,
    cache: "no-store",
    credentials: "omit",
  });
  if (answer.status === 401) {
    become("closed");
    return "closed";
  }
  if (!answer.ok) throw new Error(String(answer.status));
  const missed = state === "lost" && !lastId;
  wait = 0;
  lastHeard = Date.now();
  become("live");
  if (missed) tell("reset", {});
  // The server sends something at least every 15 s: after three times 15 s of silence the connection is dead.
  const heard = () => {
    lastHeard = Date.now();
    clearTimeout(watch);
    watch = setTimeout(() => stop?.abort(), SILENCE);
  };
  heard();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return "ended";
    heard();
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    blocks.forEach(take);
  }
}
async function run() {
  for (;;) {
    const control = new AbortController();
    stop = control;
    try {
      if ((await read(control.signal)) === "closed" && !credentials()) return;
    } catch {
      /* the server is away: the code below tries again */
    }
    clearTimeout(watch);
    become("lost");
    // The delay is 0.5 s and doubles up to 15 s; there is none when the network or the page comes back.
    wait = Math.min(15000, Math.max(500, wait * 2));
    await new Promise(done => {
      const timer = setTimeout(done, wait);
      const early = () => {
        clearTimeout(timer);
        done();
      };
      addEventListener("online", early, { once: true });
      document.addEventListener(
        "visibilitychange",
        () => {
          if (!document.hidden) early();
        },
        { once: true },
      );
    });
  }
}
export function start() {
  run();
  onCredentials(() => {
    if (state === "closed") {
      become("connecting");
      run();
    } else stop?.abort();
  });
}
