// SPDX-License-Identifier: MIT
// The page of one target: charts over time.
import { h, field } from "../../common/dom.js";
import { call, get, id } from "../../common/api.js";
import { t } from "../../common/i18n.js";
import { onEvent } from "../../common/live.js";
import { duration, ms, nameOf, number, percent } from "../../common/format.js";
import { attempt } from "../../components/dialogs.js";
import { chart } from "../../components/chart.js";
import { runTable } from "../../components/runtable.js";
import { editTarget, runNow } from "../sites/form.js";

const SPANS = { "1h": 3600, "24h": 86400, "7d": 604800, "30d": 2592000 };
const toLocal = at => new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);

/** Returns lines for the thresholds on latency, such as "p(95)<500" of http_req_duration. */
function limits(target) {
  const made = [];
  for (const e of target?.thresholds?.http_req_duration || []) {
    const m = /^\s*(p\(\d+(?:\.\d+)?\)|med|avg|max)\s*<=?\s*(\d+(?:\.\d+)?)\s*$/.exec(e);
    if (m) made.push({ value: Number(m[2]), label: e });
  }
  return made;
}

export default function site(place, { parameter, title, go }) {
  title(t("nav.sites"));
  const query = new URLSearchParams(location.search);
  let span = SPANS[query.get("span")] ? query.get("span") : query.get("from") ? "custom" : "24h",
    target = null,
    gone = false,
    points = [],
    timer = null;
  const heading = h("h1", { class: "grow" }, t("loading")),
    facts = h("p", { class: "quiet" });
  const edit = h(
    "button",
    {
      type: "button",
      onclick: () =>
        attempt(async () => {
          const now = await editTarget(await call("GET", "/api/admin/k6/targets/" + id(parameter)));
          if (now) {
            target = now;
            head();
            load();
          }
        }),
    },
    t("edit"),
  );
  const now = h("button", { type: "button", class: "primary", onclick: () => target && runNow(target) }, t("runnow"));
  const spans = Object.keys(SPANS).map(s =>
    h("button", { "type": "button", "data-span": s, "onclick": () => choose(s) }, t("span." + s)),
  );
  const from = h("input", { type: "datetime-local" }),
    to = h("input", { type: "datetime-local" }),
    compare = h("input", {
      type: "checkbox",
      checked: query.has("compare"),
      onchange: () => {
        keep();
        load();
      },
    });
  const custom = h(
    "form",
    {
      class: "row",
      onsubmit: e => {
        e.preventDefault();
        if (from.value && to.value && from.value < to.value) choose("custom");
        else from.focus();
      },
    },
    field(t("filter.from"), from),
    field(t("filter.to"), to),
    h("button", null, t("span.custom")),
  );
  const places = ["latency", "errors", "rps"].map(() => h("div"));
  const table = runTable(t("site.lastruns"), []),
    none = h("p", { class: "quiet" });
  place.append(
    h("div", { class: "row" }, heading, edit, now),
    facts,
    h(
      "div",
      { class: "card row wide" },
      h("div", { "class": "row", "role": "group", "aria-label": t("span") }, spans),
      custom,
      field(t("compare"), compare, { inline: true }),
    ),
    ...["latency", "errors", "rps"].map((n, i) =>
      h(
        "section",
        { class: "card" },
        h("h2", null, t("chart." + n)),
        places[i],
        i === 0 ? h("p", { class: "small quiet" }, t("chart.pick")) : null,
      ),
    ),
    h(
      "section",
      { class: "card" },
      h(
        "div",
        { class: "row" },
        h("h2", { class: "grow" }, t("site.lastruns")),
        h("a", { href: "/agents/k6/runs?targetId=" + id(parameter) }, t("site.allruns")),
      ),
      table.element,
      none,
    ),
  );
  if (query.get("from")) {
    from.value = toLocal(new Date(query.get("from")));
    to.value = toLocal(new Date(query.get("to") || Date.now()));
  }

  function range() {
    if (span === "custom") return [new Date(from.value).getTime(), new Date(to.value).getTime()];
    const end = Date.now();
    return [end - SPANS[span] * 1000, end];
  }
  function keep() {
    const q = new URLSearchParams();
    if (span === "custom") {
      q.set("from", new Date(from.value).toISOString());
      q.set("to", new Date(to.value).toISOString());
    } else q.set("span", span);
    if (compare.checked) q.set("compare", "1");
    go(`/agents/k6/sites/${id(parameter)}?${q}`, { replace: true });
  }
  function choose(s) {
    span = s;
    keep();
    load();
  }
  function head() {
    const name = nameOf(target);
    heading.textContent = name;
    title(name);
    facts.textContent = [
      target.url || t("site.script"),
      `${number(target.vus)} VUs`,
      duration(target.durationS * 1000),
      t("site.everytext", { every: duration(target.runIntervalMs) }),
      target.enabled ? t("site.on") : t("site.off"),
    ].join(" · ");
  }
  const dots = color => ({ label: t("chart.run"), color, points: true });
  const charts = Promise.all([
    chart(places[0], {
      title: t("chart.latency"),
      onPick: pick,
      series: [
        { label: "p50", color: "--series-1", format: ms },
        { label: "p95", color: "--series-2", format: ms },
        { label: "p99", color: "--series-3", format: ms },
        { label: t("chart.before"), color: "--off", dash: [5, 4], format: ms },
        { ...dots("--failed"), format: ms },
      ],
    }),
    chart(places[1], {
      title: t("chart.errors"),
      onPick: pick,
      floor: 0.05,
      height: 170,
      low: true,
      series: [
        { label: t("chart.errors"), color: "--series-3", format: percent },
        { label: t("chart.before"), color: "--off", dash: [5, 4], format: percent },
      ],
    }),
    chart(places[2], {
      title: t("chart.rps"),
      onPick: pick,
      height: 170,
      low: true,
      series: [
        { label: t("chart.rps"), color: "--series-1", format: v => number(v, 1) },
        { label: t("chart.before"), color: "--off", dash: [5, 4], format: v => number(v, 1) },
      ],
    }),
  ]);
  /** A click on the point of a run opens the run; a click elsewhere shows the runs of the step. */
  function pick(i) {
    const p = points[i];
    if (p?.run) go("/agents/k6/runs/" + id(p.run.id));
    else if (p) {
      const to = new Date(Date.parse(p.t) + p.step * 1000).toISOString();
      go(`/agents/k6/runs?targetId=${id(parameter)}&from=${p.t}&to=${to}`);
    }
  }
  async function load() {
    spans.forEach(b => b.setAttribute("aria-pressed", b.dataset.span === span));
    const [a, b] = range(),
      iso = x => new Date(x).toISOString(),
      base = "/api/dashboard/k6/targets/" + id(parameter) + "/series?";
    try {
      const [series, before, list, all] = await Promise.all([
        get(`${base}from=${iso(a)}&to=${iso(b)}`),
        compare.checked ? get(`${base}from=${iso(a - (b - a))}&to=${iso(a)}`) : null,
        get(`/api/dashboard/k6/runs?targetId=${id(parameter)}&from=${iso(a)}&to=${iso(b)}&pageSize=200`),
        target ? null : get("/api/dashboard/k6/targets"),
      ]);
      if (gone) return;
      if (all) {
        target = all.items.find(x => x.id === parameter) || {
          id: parameter,
          label: list.items[0]?.targetLabel || parameter,
          gone: true,
        };
        if (target.gone) {
          heading.textContent = target.label;
          facts.textContent = t("site.gone");
          edit.disabled = now.disabled = true;
        } else head();
      }
      const steps = series.points.map((p, i) => ({
        ...p,
        step: series.step,
        x: Date.parse(p.t) / 1000,
        old: before?.points[i],
      }));
      const runs = list.items
        .filter(r => r.startedAt)
        .map(r => ({ run: r, t: r.startedAt, x: Date.parse(r.startedAt) / 1000 }));
      points = [...steps, ...runs].sort((p, q) => p.x - q.x);
      // The point of a run is between two steps; null would interrupt the line, undefined does not.
      const of = (f, g) => points.map(p => (p.run ? (g ? g(p.run) : undefined) : (f(p) ?? null)));
      const x = points.map(p => p.x),
        [latency, errors, rps] = await charts;
      latency.set(
        [
          x,
          of(p => p.p50_ms),
          of(p => p.p95_ms),
          of(p => p.p99_ms),
          of(p => p.old?.p95_ms),
          points.map(p => (p.run ? (p.run.metrics?.p95_ms ?? null) : undefined)),
        ],
        { lines: limits(target) },
      );
      errors.set([x, of(p => p.error_rate), of(p => p.old?.error_rate)]);
      rps.set([x, of(p => p.rps), of(p => p.old?.rps)]);
      const { element, body } = runTable(t("site.lastruns"), list.items.slice(0, 20));
      table.element.replaceChildren(...element.children);
      table.body = body;
      none.textContent = list.items.length ? "" : t("runs.none");
    } catch (e) {
      if (gone) return;
      if (e.status === 404)
        place.replaceChildren(
          h(
            "div",
            { class: "card empty" },
            h("h1", null, t("site.missing")),
            h("p", null, e.message),
            h("a", { class: "button", href: "/agents/k6/sites" }, t("nav.sites")),
          ),
        );
      else
        attempt(() => {
          throw e;
        });
    }
  }
  const off = onEvent((name, data) => {
    if (name === "reset") load();
    if (name === "target" && data.id === parameter && !data.deleted) {
      target = data;
      head();
    }
    if (name === "run" && data.targetId === parameter && data.status !== "running" && span !== "custom")
      timer ??= setTimeout(() => {
        timer = null;
        if (!gone) load();
      }, 2000);
  });
  load();
  return () => {
    gone = true;
    off();
    clearTimeout(timer);
    charts.then(list => list.forEach(c => c.destroy()));
  };
}
