// SPDX-License-Identifier: MIT
const time = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
const number = (v, digits) => v === null || v === undefined ? "–" : v.toLocaleString(undefined, { maximumFractionDigits: digits });
function cell(text, className, title) {
  const td = document.createElement("td");
  td.textContent = text; // never as HTML: labels and messages come from elsewhere
  if (className) td.className = className;
  if (title) td.title = title;
  return td;
}
function fill(id, rows, empty, columns) {
  const body = document.getElementById(id);
  body.replaceChildren(...rows.map(cells => { const tr = document.createElement("tr"); tr.append(...cells); return tr; }));
  if (!rows.length) { const tr = document.createElement("tr"), td = cell(empty); td.colSpan = columns; tr.append(td); body.append(tr); }
}
const when = t => cell(t ? time.format(new Date(t)) : "–", "", t || "");
async function get(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(path + " answered " + answer.status);
  return answer.json();
}
async function load() {
  const problem = document.getElementById("problem");
  try {
    const [agents, runs] = await Promise.all([get("/api/dashboard/k6/agents"), get("/api/dashboard/k6/runs?pageSize=50")]);
    fill("agents", agents.items.map(a => [cell(a.name), cell(a.host), cell(a.status), when(a.lastSeenAt), cell(number(a.restarts, 0), "n")]),
      "No agent has registered yet.", 5);
    fill("runs", runs.items.map(r => {
      const m = r.metrics || {}, rate = m.error_rate;
      return [when(r.startedAt), cell(r.targetLabel || r.targetId || "–"), cell(r.agent || "–"),
        cell(r.reason ? r.status + " (" + r.reason + ")" : r.status, r.status, r.errorMessage || ""),
        cell(number(m.p95_ms, 1), "n"), cell(rate === null || rate === undefined ? "–" : number(rate * 100, 1) + " %", rate > 0.05 ? "n error" : "n"),
        cell(number(m.rps, 1), "n")];
    }), "No run yet.", 7);
    const up = agents.items.filter(a => a.status !== "offline" && a.status !== "stopped").length;
    document.getElementById("summary").textContent = up + " agents up, " + number(runs.total, 0) + " runs recorded.";
    problem.textContent = "";
  } catch (e) {
    problem.textContent = "The data cannot be loaded: " + e.message + ". Reload the page to try again.";
  }
}
load();
document.addEventListener("visibilitychange", () => { if (!document.hidden) load(); });
