// SPDX-License-Identifier: MIT
import { h, oncePerFrame } from "../../common/dom.js";
import { call, get } from "../../common/api.js";
import { t } from "../../common/i18n.js";
import { onEvent } from "../../common/live.js";
import { ago, mark, ms, number, percent } from "../../common/format.js";
import { attempt, confirm, toast } from "../../components/dialogs.js";
import { chart } from "../../components/chart.js";
import { scaleCard } from "./scale.js";
import { agentGrid } from "./agents.js";

const UP = new Set(["idle", "running", "draining"]),
  BUSY = new Set(["running", "draining"]);

export default function fleet(place, { title }) {
  title(t("nav.fleet"));
  const watchers = new Set();
  const model = {
    overview: null,
    hosts: [],
    agents: new Map(),
    setDesired(n) {
      if (model.overview) model.overview.desired = n;
      changed();
    },
    watch(f) {
      watchers.add(f);
      return () => watchers.delete(f);
    },
  };
  const scale = scaleCard(model),
    grid = agentGrid(model);
  const numbers = h("dl", { class: "numbers" });
  const entry = name => {
    const dd = h("dd", null, "–");
    numbers.append(h("div", null, h("dt", null, t("fleet." + name)), dd));
    return dd;
  };
  const shown = Object.fromEntries(["desired", "running", "busy", "runs", "errors", "p95"].map(n => [n, entry(n)]));
  const hosts = h("tbody"),
    noHosts = h("p", { class: "quiet" }, t("hosts.none"));
  const pause = h("button", { type: "button", class: "danger", onclick: () => stopLoad() }, t("pause")),
    paused = h("p", { class: "card bad", role: "status" }, t("paused.text"));
  const reconcile = h(
    "button",
    {
      type: "button",
      onclick: () =>
        attempt(async () => {
          await call("POST", "/api/admin/k6/reconcile");
          toast(t("reconcile.done"));
          load();
        }),
    },
    t("reconcile"),
  );
  const places = ["runs", "errors", "p95"].map(() => h("div"));
  const body = h("div", { hidden: true });
  place.append(h("div", { class: "row" }, h("h1", { class: "grow" }, t("fleet.title")), reconcile, pause), body);
  // The part is shown when it has its numbers, so nothing moves when they come.
  body.append(
    paused,
    numbers,
    scale.element,
    h(
      "div",
      { class: "columns" },
      ["runs", "errors", "p95"].map((n, i) =>
        h("section", { class: "card" }, h("h2", null, t("chart.fleet." + n)), places[i]),
      ),
    ),
    grid.element,
    h(
      "section",
      { class: "card" },
      h("h2", null, t("hosts")),
      h(
        "div",
        { "class": "scroll", "tabindex": 0, "role": "region", "aria-label": t("hosts") },
        h(
          "table",
          { class: "cards" },
          h(
            "thead",
            null,
            h(
              "tr",
              null,
              ["host", "state", "seen", "agents", "capacity", "version", "k6", "sandbox"].map(c =>
                h("th", { scope: "col" }, t("host." + c)),
              ),
            ),
          ),
          hosts,
        ),
      ),
      noHosts,
    ),
  );
  paused.hidden = true;
  const charts = [],
    first = load();
  Promise.all([
    chart(places[0], {
      title: t("chart.fleet.runs"),
      height: 150,
      low: true,
      bars: true,
      floor: 4,
      series: [{ label: t("chart.runs"), color: "--series-1" }],
    }),
    chart(places[1], {
      title: t("chart.fleet.errors"),
      height: 150,
      low: true,
      floor: 0.05,
      series: [{ label: t("chart.errors"), color: "--series-3", format: percent }],
    }),
    chart(places[2], {
      title: t("chart.fleet.p95"),
      height: 150,
      low: true,
      floor: 1,
      series: [{ label: "p95", color: "--series-2", format: ms }],
    }),
  ]).then(list => {
    if (gone) list.forEach(c => c.destroy());
    else {
      charts.push(...list);
      first.then(loadSeries);
    }
  });

  async function stopLoad() {
    const on = model.overview?.paused;
    if (!on && !(await confirm(t("pause.title"), t("pause.text"), t("pause"), { danger: true }))) return;
    await attempt(async () => {
      await (on ? call("POST", "/api/admin/k6/resume") : call("POST", "/api/admin/k6/pause", { now: true }));
      if (model.overview) model.overview.paused = !on;
      draw();
      toast(
        on ? t("resume.done") : t("pause.done"),
        on
          ? {}
          : {
              label: t("undo"),
              action: () =>
                attempt(async () => {
                  await call("POST", "/api/admin/k6/resume");
                  model.overview.paused = false;
                  draw();
                }),
            },
      );
    });
  }
  const draw = oncePerFrame(() => {
    const o = model.overview;
    if (!o || gone) return;
    shown.desired.textContent = number(o.desired);
    shown.running.textContent = number(o.running);
    shown.busy.textContent = number(o.busy);
    shown.runs.textContent = number(o.lastHour.runs);
    shown.errors.textContent = percent(o.lastHour.error_rate);
    shown.errors.className = o.lastHour.error_rate > 0.05 ? "bad" : "";
    shown.p95.textContent = ms(o.lastHour.p95_ms);
    pause.textContent = o.paused ? t("resume") : t("pause");
    paused.hidden = !o.paused;
    noHosts.hidden = model.hosts.length > 0;
    scale.draw();
    grid.draw();
    for (const f of watchers) f();
  });
  function drawHosts() {
    hosts.replaceChildren(
      ...model.hosts.map(o => {
        const cells = [
          ["host", o.host || t("host.unnamed")],
          [
            "state",
            h(
              "span",
              { class: "status" },
              mark(o.online ? "success" : "error"),
              o.online ? (o.managed ? t("host.online") : t("host.unmanaged")) : t("host.offline"),
            ),
          ],
          ["seen", ago(o.lastSeenAt)],
          ["agents", o.managed ? `${number(o.agents)} / ${number(o.desired)}` : number(o.agents)],
          ["capacity", o.managed ? number(o.maxAgents) : "–"],
          ["version", o.version || "–"],
          ["k6", o.k6Version || "–"],
          ["sandbox", o.sandbox || "–"],
        ];
        return h(
          "tr",
          null,
          cells.map(([name, c]) => h("td", { "data-label": t("host." + name) }, c)),
        );
      }),
    );
  }
  function changed() {
    // The events of agents are newer than the overview, which was read before.
    const o = model.overview;
    if (o) {
      let up = 0,
        busy = 0;
      for (const a of model.agents.values()) {
        up += UP.has(a.status);
        busy += BUSY.has(a.status);
      }
      o.running = up;
      o.busy = busy;
    }
    draw();
  }
  async function load() {
    await attempt(async () => {
      const [o, list, agents] = await Promise.all([
        get("/api/dashboard/k6/overview"),
        get("/api/dashboard/k6/hosts"),
        get("/api/dashboard/k6/agents"),
      ]);
      model.overview = o;
      model.hosts = list.items;
      model.agents = new Map(agents.items.map(a => [a.id, a]));
      drawHosts();
      draw();
    });
    body.hidden = false;
  }
  async function loadSeries() {
    await attempt(async () => {
      const { points } = await get("/api/dashboard/k6/series"),
        x = points.map(p => Date.parse(p.t) / 1000);
      charts[0]?.set([x, points.map(p => p.runs)]);
      charts[1]?.set([x, points.map(p => p.error_rate)]);
      charts[2]?.set([x, points.map(p => p.p95_ms)]);
    });
  }
  // Ended runs change the numbers of the last hour: they are read again after events, at most every 10 s.
  let again = null,
    gone = false;
  function later() {
    again ??= setTimeout(async () => {
      again = null;
      if (gone || document.hidden) return;
      await attempt(async () => {
        model.overview = { ...(await get("/api/dashboard/k6/overview")) };
        model.hosts = (await get("/api/dashboard/k6/hosts")).items;
        drawHosts();
        draw();
      });
      loadSeries();
    }, 10000);
  }
  const off = onEvent((name, data) => {
    if (name === "reset") {
      load();
      loadSeries();
      return;
    }
    if (name === "agent") {
      if (data.deleted) {
        for (const a of model.agents.values())
          if (a.name === data.name && a.host === data.host) model.agents.delete(a.id);
      } else model.agents.set(data.id, data);
      changed();
      later();
    } else if (name === "config") {
      if (model.overview) {
        model.overview.desired = data.k6DesiredAgentCount;
        model.overview.paused = data.paused;
      }
      draw();
      later();
    } else if (name === "run" && data.status !== "running") {
      later();
    }
  });
  return () => {
    gone = true;
    off();
    clearTimeout(again);
    charts.forEach(c => c.destroy());
  };
}
