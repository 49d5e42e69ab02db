// SPDX-License-Identifier: MIT
// All agents as a dense grid: a button for each, made once and changed in place.  Arrow keys move in the grid.
import { h } from "../../common/dom.js";
import { get, id } from "../../common/api.js";
import { t } from "../../common/i18n.js";
import {
  ago,
  duration,
  mark,
  bytes,
  number,
  percent,
  ms,
  status,
  statusText,
  time,
  DASH,
} from "../../common/format.js";
import { open, attempt } from "../../components/dialogs.js";

/** As in src/common/agent_state.h, in the order of the legend; tests/unit/test_documents.c compares them. */
const STATES = ["idle", "running", "draining", "starting", "backoff", "stopping", "stopped", "offline"];
const byName = (a, b) =>
  a.host.localeCompare(b.host) ||
  (a.slot ?? 1e9) - (b.slot ?? 1e9) ||
  a.name.localeCompare(b.name, undefined, { numeric: true });

export function agentGrid(model) {
  const grid = h("div", { "class": "grid", "role": "group", "aria-label": t("agents") }),
    legend = h("ul", { class: "legend" });
  const buttons = new Map();
  let order = "";
  grid.addEventListener("click", e => {
    const b = e.target.closest("button");
    if (b) showAgent(model, b.dataset.id);
  });
  grid.addEventListener("keydown", e => {
    const all = [...grid.children],
      at = all.indexOf(document.activeElement);
    if (at < 0) return;
    const columns = Math.max(1, Math.floor((grid.clientWidth + 4) / 30));
    const to = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at + columns,
      ArrowUp: at - columns,
      Home: 0,
      End: all.length - 1,
    }[e.key];
    if (to === undefined || !all[to]) return;
    e.preventDefault();
    all[at].tabIndex = -1;
    all[to].tabIndex = 0;
    all[to].focus();
  });
  function draw() {
    const agents = [...model.agents.values()].sort(byName),
      counts = {};
    for (const a of agents) {
      counts[a.status] = (counts[a.status] || 0) + 1;
      let b = buttons.get(a.id);
      if (!b) {
        b = h("button", { "type": "button", "data-id": a.id, "tabindex": -1 });
        buttons.set(a.id, b);
      }
      if (b.dataset.status !== a.status) {
        b.dataset.status = a.status;
        b.replaceChildren(mark(a.status));
        const text = `${a.name}${a.host ? " · " + a.host : ""}: ${statusText(a.status)}`;
        b.setAttribute("aria-label", text);
        b.title = text;
      }
    }
    const now = agents.map(a => a.id).join();
    if (now !== order) {
      for (const key of buttons.keys()) if (!model.agents.has(key)) buttons.delete(key);
      const focused = document.activeElement?.dataset?.id;
      grid.replaceChildren(...agents.map(a => buttons.get(a.id)));
      if (focused && buttons.has(focused)) buttons.get(focused).focus();
      if (grid.firstChild && ![...grid.children].some(b => b.tabIndex === 0)) grid.firstChild.tabIndex = 0;
      order = now;
    }
    legend.replaceChildren(
      ...STATES.filter(s => counts[s]).map(s =>
        h("li", { class: "status" }, mark(s), `${statusText(s)} ${number(counts[s])}`),
      ),
    );
  }
  const empty = h(
    "div",
    { class: "empty" },
    h("h3", null, t("agents.none")),
    h("p", null, t("agents.none.text")),
    h("pre", null, "systemctl start k6fleetd\nk6fleetctl scale 5"),
  );
  const element = h(
    "section",
    { "class": "card", "aria-label": t("agents") },
    h("h2", null, t("agents")),
    legend,
    grid,
    empty,
  );
  return {
    element,
    draw() {
      empty.hidden = model.agents.size > 0;
      draw();
    },
  };
}

function showAgent(model, key) {
  const first = model.agents.get(key);
  if (!first) return;
  const facts = h("dl", { class: "facts" }),
    runs = h("div", null, t("loading"));
  const fact = (name, value) => h("div", null, h("dt", null, t("agent." + name)), h("dd", null, value ?? DASH));
  let running = null,
    lastRun;
  function draw() {
    const a = model.agents.get(key);
    if (!a) return;
    const p = a.progress;
    facts.replaceChildren(
      fact("status", status(a.status)),
      fact("host", a.host || DASH),
      fact("slot", number(a.slot)),
      fact("memory", bytes(a.rssBytes)),
      fact("restarts", number(a.restarts)),
      fact("seen", ago(a.lastSeenAt)),
      fact("version", a.version),
      fact("k6", a.k6Version),
      fact(
        "run",
        a.currentRunId
          ? h("a", { href: "/agents/k6/runs/" + id(a.currentRunId) }, running?.targetLabel || a.currentRunId)
          : DASH,
      ),
      fact(
        "progress",
        p
          ? h(
              "span",
              null,
              h("progress", {
                "max": Math.max(1, p.durationMs || 1),
                "value": Math.min(p.elapsedMs || 0, p.durationMs || 1),
                "aria-label": t("agent.progress"),
              }),
              ` ${duration(p.elapsedMs)} / ${duration(p.durationMs)}`,
            )
          : DASH,
      ),
      fact("vus", p ? number(p.vus) : DASH),
      fact("iterations", p ? number(p.iterations) : DASH),
    );
    if (a.currentRunId === lastRun) return;
    lastRun = a.currentRunId;
    if (a.currentRunId)
      get("/api/dashboard/k6/runs/" + id(a.currentRunId)).then(
        r => {
          running = r;
          draw();
        },
        () => {},
      );
    attempt(async () => {
      const list = await get(
        `/api/dashboard/k6/runs?pageSize=8&agent=${id(a.name)}${a.host ? "&host=" + id(a.host) : ""}`,
      );
      runs.replaceChildren(
        list.items.length
          ? h(
              "div",
              { "class": "scroll", "tabindex": 0, "role": "region", "aria-label": t("agent.last") },
              h(
                "table",
                null,
                h(
                  "thead",
                  null,
                  h(
                    "tr",
                    null,
                    ["when", "target", "p95", "fail", "status"].map(c => h("th", { scope: "col" }, t("run." + c))),
                  ),
                ),
                h(
                  "tbody",
                  null,
                  list.items.map(r =>
                    h(
                      "tr",
                      null,
                      h("td", null, h("a", { href: "/agents/k6/runs/" + id(r.id) }, time(r.startedAt))),
                      h("td", null, r.targetLabel || r.targetId || DASH),
                      h("td", null, ms(r.metrics?.p95_ms)),
                      h("td", { class: r.metrics?.error_rate > 0.05 ? "bad" : null }, percent(r.metrics?.error_rate)),
                      h("td", null, status(r.status, r.reason)),
                    ),
                  ),
                ),
              ),
            )
          : t("runs.none"),
      );
    });
  }
  draw();
  const off = model.watch(draw);
  open(first.name, (close, box) => {
    box.addEventListener("click", e => {
      if (e.target.closest("a")) close();
    });
    return h(
      "div",
      null,
      facts,
      h("h3", null, t("agent.last")),
      runs,
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", class: "primary", onclick: () => close() }, t("close")),
      ),
    );
  }).then(off);
}
