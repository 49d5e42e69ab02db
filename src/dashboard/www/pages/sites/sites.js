// SPDX-License-Identifier: MIT
import { h, field, oncePerFrame } from "../../common/dom.js";
import { call, get, id } from "../../common/api.js";
import { t } from "../../common/i18n.js";
import { onEvent } from "../../common/live.js";
import { ago, duration, ms, nameOf, number, percent, DASH } from "../../common/format.js";
import { attempt, confirmTyped, toast } from "../../components/dialogs.js";
import { strip, STRIP } from "../../components/strip.js";
import { editTarget, runNow } from "./form.js";

const COLUMNS = ["name", "recent", "p95", "fail", "every", "next", "enabled", "actions"];

export default function sites(place, { title, go }) {
  title(t("nav.sites"));
  const targets = new Map(),
    rows = new Map();
  const query = new URLSearchParams(location.search);
  const search = h("input", {
      type: "search",
      value: query.get("q") || "",
      oninput: () => {
        keep();
        draw();
      },
    }),
    tag = h("select", {
      onchange: () => {
        keep();
        draw();
      },
    });
  const body = h("tbody"),
    told = h("span", { class: "told small quiet", role: "status" });
  const table = h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { class: "cards fixed" },
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          COLUMNS.map(c =>
            h(
              "th",
              { "scope": "col", "data-column": c, "class": c === "p95" || c === "fail" ? "n" : null },
              t("site." + c),
            ),
          ),
        ),
      ),
      body,
    ),
  );
  const empty = h(
    "div",
    { class: "empty", hidden: true },
    h("h2", null, t("sites.none")),
    h("p", null, t("sites.none.text")),
    h("button", { type: "button", class: "primary", onclick: add }, t("add")),
  );
  place.append(
    h(
      "div",
      { class: "row" },
      h("h1", { class: "grow" }, t("nav.sites")),
      h("button", { type: "button", class: "primary", onclick: add }, t("add")),
    ),
    h("div", { class: "filters card" }, field(t("search"), search), field(t("tags"), tag)),
    h("section", { class: "card" }, told, table, empty),
  );

  function keep() {
    const q = new URLSearchParams();
    if (search.value) q.set("q", search.value);
    if (tag.value) q.set("tag", tag.value);
    go("/agents/k6/sites" + (q.size ? "?" + q : ""), { replace: true });
  }
  async function add() {
    const made = await editTarget(null);
    if (made) {
      put(made);
      draw();
    }
  }
  // Responses to changes, and events, have no recent runs: the page keeps those it knows.
  function put(x) {
    targets.set(x.id, { ...x, recentRuns: x.recentRuns || targets.get(x.id)?.recentRuns || [] });
    rows.get(x.id)?.remove();
    rows.delete(x.id);
  }
  const toggle = (x, on) =>
    attempt(async () => {
      try {
        put(await call("PATCH", "/api/admin/k6/targets/" + id(x.id), { enabled: on }));
      } catch (e) {
        put(x);
        throw e;
      } finally {
        draw();
      }
    });
  async function change(x) {
    await attempt(async () => {
      const whole = await call("GET", "/api/admin/k6/targets/" + id(x.id)),
        now = await editTarget(whole);
      if (now) {
        put(now);
        draw();
      }
    });
  }
  async function remove(x) {
    const name = nameOf(x);
    if (!(await confirmTyped(t("delete.title"), t("delete.text", { name }), name, t("delete")))) return;
    await attempt(async () => {
      await call("DELETE", "/api/admin/k6/targets/" + id(x.id));
      forget(x.id);
      draw();
      toast(t("deleted", { name }));
    });
  }
  function forget(key) {
    targets.delete(key);
    rows.get(key)?.remove();
    rows.delete(key);
  }

  function row(x) {
    const name = nameOf(x),
      last = x.recentRuns.find(r => r.status !== "running");
    const newest = x.recentRuns[0],
      next = x.enabled && newest ? new Date(Date.parse(newest.startedAt) + x.runIntervalMs) : null;
    const box = h("input", {
      "type": "checkbox",
      "checked": x.enabled,
      "aria-label": t("site.enable", { name }),
      "onchange": () => toggle(x, box.checked),
    });
    const cells = [
      h(
        "span",
        null,
        h("a", { href: "/agents/k6/sites/" + id(x.id) }, name),
        x.label && x.url
          ? h("span", { class: "quiet small" }, " ", x.url)
          : x.script
            ? h("span", { class: "quiet small" }, " ", t("site.script"))
            : null,
        h(
          "span",
          { class: "tags" },
          Object.entries(x.tags || {}).map(([k, v]) => h("span", { class: "tag" }, `${k}=${v}`)),
        ),
      ),
      strip(x.id, x.recentRuns),
      ms(last?.p95_ms),
      percent(last?.error_rate),
      duration(x.runIntervalMs),
      next ? (next > Date.now() ? ago(next.toISOString()) : t("site.due")) : DASH,
      box,
      h(
        "span",
        { class: "row" },
        h(
          "button",
          { "type": "button", "class": "small", "aria-label": t("runnow.label", { name }), "onclick": () => runNow(x) },
          t("runnow"),
        ),
        h(
          "button",
          { "type": "button", "class": "small", "aria-label": t("site.edit", { name }), "onclick": () => change(x) },
          t("edit"),
        ),
        h(
          "button",
          {
            "type": "button",
            "class": "small danger",
            "aria-label": t("delete.label", { name }),
            "onclick": () => remove(x),
          },
          t("delete"),
        ),
      ),
    ];
    return h(
      "tr",
      { "data-id": x.id },
      cells.map((c, i) =>
        h(
          "td",
          {
            "data-label": t("site." + COLUMNS[i]),
            "class": i === 0 ? "wrap" : i === 3 && last?.error_rate > 0.05 ? "n bad" : i === 2 || i === 3 ? "n" : null,
          },
          c,
        ),
      ),
    );
  }
  const draw = oncePerFrame(() => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean),
      list = [...targets.values()];
    const tags = [...new Set(list.flatMap(x => Object.entries(x.tags || {}).map(([k, v]) => `${k}=${v}`)))].sort();
    if (tags.join("\n") !== tag.dataset.all) {
      const value = tag.dataset.all === undefined ? query.get("tag") || "" : tag.value;
      tag.replaceChildren(h("option", { value: "" }, t("any")), ...tags.map(x => h("option", { value: x }, x)));
      tag.value = value;
      tag.dataset.all = tags.join("\n");
    }
    let shown = 0;
    for (const x of list) {
      const text =
        `${x.label} ${x.url || ""} ${x.id} ${Object.entries(x.tags || {}).map(p => p.join("="))}`.toLowerCase();
      const fits =
        words.every(w => text.includes(w)) &&
        (!tag.value || Object.entries(x.tags || {}).some(p => p.join("=") === tag.value));
      let tr = rows.get(x.id);
      if (!tr) {
        tr = row(x);
        rows.set(x.id, tr);
        const at = list.indexOf(x),
          after = at ? rows.get(list[at - 1].id) : null;
        if (after) after.after(tr);
        else body.prepend(tr);
      }
      tr.hidden = !fits;
      shown += fits;
    }
    empty.hidden = list.length > 0;
    table.hidden = !list.length;
    told.textContent = list.length ? t("sites.total", { shown: number(shown), n: number(list.length) }) : "";
  });
  async function load() {
    await attempt(async () => {
      const { items } = await get("/api/dashboard/k6/targets?recent=" + STRIP);
      targets.clear();
      rows.clear();
      body.replaceChildren();
      for (const x of items) targets.set(x.id, x);
      draw();
    });
  }
  const off = onEvent((name, data) => {
    if (name === "reset") load();
    else if (name === "target") {
      if (data.deleted) forget(data.id);
      else put(data);
      draw();
    } else if (name === "run" && targets.has(data.targetId)) {
      const x = targets.get(data.targetId),
        entry = {
          id: data.id,
          status: data.status,
          startedAt: data.startedAt || data.scheduledAt,
          p95_ms: data.metrics?.p95_ms ?? null,
          error_rate: data.metrics?.error_rate ?? null,
        };
      const at = x.recentRuns.findIndex(r => r.id === data.id);
      if (at >= 0) x.recentRuns[at] = entry;
      else x.recentRuns = [entry, ...x.recentRuns].slice(0, STRIP);
      refresh.add(x.id);
      freshen();
    }
  });
  // A row is replaced unless the user is in it.
  const refresh = new Set();
  const freshen = oncePerFrame(() => {
    for (const key of refresh) {
      const old = rows.get(key),
        x = targets.get(key);
      if (!old || !x) continue;
      const made = row(x);
      made.hidden = old.hidden;
      [1, 2, 3, 5].forEach(i => old.children[i].replaceWith(made.children[i].cloneNode(true)));
    }
    refresh.clear();
  });
  load();
  return off;
}
