// SPDX-License-Identifier: MIT
// The table of runs.  The address contains filters and page; on page 1, newest first, new runs appear on top.
import { h, field } from "../../common/dom.js";
import { get, headers } from "../../common/api.js";
import { t } from "../../common/i18n.js";
import { onEvent } from "../../common/live.js";
import { nameOf, number, statusText } from "../../common/format.js";
import { attempt } from "../../components/dialogs.js";
import { runRow, runTable } from "../../components/runtable.js";

const FILTERS = ["targetId", "agent", "host", "status", "from", "to", "sort"],
  PAGE = 50;
const toLocal = iso => {
  const d = new Date(iso);
  return isNaN(d) ? "" : new Date(d - d.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
};

export default function runs(place, { title, go }) {
  title(t("nav.runs"));
  const query = new URLSearchParams(location.search);
  const at = name => query.get(name) || "";
  const page = Math.max(1, parseInt(query.get("page"), 10) || 1);
  const select = (options, value) => {
    const e = h(
      "select",
      { onchange: apply },
      options.map(([v, text]) => h("option", { value: v }, text)),
    );
    if (value && !options.some(o => o[0] === value)) e.append(h("option", { value }, value));
    e.value = value;
    return e;
  };
  const inputs = {
    targetId: select([["", t("any")]], at("targetId")),
    agent: h("input", { value: at("agent"), onchange: apply }),
    host: select([["", t("any")]], at("host")),
    status: select(
      [["", t("any")], ...["running", "success", "failed", "error"].map(s => [s, statusText(s)])],
      at("status"),
    ),
    from: h("input", { type: "datetime-local", value: at("from") && toLocal(at("from")), onchange: apply }),
    to: h("input", { type: "datetime-local", value: at("to") && toLocal(at("to")), onchange: apply }),
    sort: select(
      ["-startedAt", "startedAt", "-p95_ms", "-error_rate", "-lagMs"].map(s => [s, t("sort." + s)]),
      at("sort") || "-startedAt",
    ),
  };
  function chosen() {
    const q = new URLSearchParams();
    for (const f of FILTERS) {
      let v = inputs[f].value.trim();
      if (v && (f === "from" || f === "to")) v = new Date(v).toISOString();
      if (v && !(f === "sort" && v === "-startedAt")) q.set(f, v);
    }
    return q;
  }
  const path = q => "/agents/k6/runs" + (q.size ? "?" + q : "");
  function apply() {
    go(path(chosen()));
  }
  const pageOf = n => {
    const q = new URLSearchParams(query);
    if (n > 1) q.set("page", n);
    else q.delete("page");
    return path(q);
  };

  const told = h("span", { class: "told quiet small", role: "status" }),
    table = runTable(t("nav.runs"), []),
    empty = h("div", { class: "empty", hidden: true });
  const fresh = h("button", {
    type: "button",
    class: "small",
    hidden: true,
    onclick: () => {
      load();
      scrollTo(0, 0);
    },
  });
  const pages = h("nav", { "class": "row", "aria-label": t("pages") });
  const csv = h("button", { type: "button", onclick: saveCsv }, t("csv"));
  place.append(
    h("div", { class: "row" }, h("h1", { class: "grow" }, t("nav.runs")), csv),
    h(
      "form",
      {
        class: "filters card",
        onsubmit: e => {
          e.preventDefault();
          apply();
        },
      },
      FILTERS.map(f => field(t("filter." + f), inputs[f])),
      h("a", { class: "button", href: "/agents/k6/runs" }, t("filter.clear")),
    ),
    h("section", { class: "card" }, h("div", { class: "row" }, told, fresh), table.element, empty, pages),
  );

  async function saveCsv() {
    await attempt(async () => {
      const q = chosen();
      q.delete("sort");
      const answer = await fetch("/api/dashboard/k6/runs.csv" + (q.size ? "?" + q : ""), {
        headers: headers(),
        credentials: "omit",
      });
      if (!answer.ok)
        throw new Error(
          (await answer.json().catch(() => null))?.error?.message || t("error.status", { status: answer.status }),
        );
      const url = URL.createObjectURL(await answer.blob());
      h("a", { href: url, download: "runs.csv" }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    });
  }
  let total = 0,
    waiting = 0,
    shown = [],
    timer = null;
  // Rows are replaced in place and not pushed down, so nothing on the page moves.
  const draw = () => {
    table.body.replaceChildren(...shown.map(runRow));
  };
  const soon = () => {
    timer ??= setTimeout(() => {
      timer = null;
      draw();
    }, 300);
  };
  function say() {
    told.textContent = t("runs.total", {
      n: number(total),
      page: number(page),
      pages: number(Math.max(1, Math.ceil(total / PAGE))),
    });
    fresh.hidden = !waiting;
    fresh.textContent = t("runs.fresh", { n: number(waiting) });
  }
  async function load() {
    await attempt(async () => {
      const q = new URLSearchParams(chosen());
      q.set("page", page);
      q.set("pageSize", PAGE);
      const list = await get("/api/dashboard/k6/runs?" + q);
      total = list.total;
      waiting = 0;
      shown = list.items;
      draw();
      const last = Math.max(1, Math.ceil(total / PAGE));
      pages.replaceChildren(
        ...[
          [1, t("page.first")],
          [page - 1, t("page.previous")],
          [page + 1, t("page.next")],
          [last, t("page.last")],
        ].map(([n, text]) =>
          n >= 1 && n <= last && n !== page
            ? h("a", { class: "button", href: pageOf(n) }, text)
            : h("button", { type: "button", disabled: true }, text),
        ),
      );
      empty.hidden = list.items.length > 0;
      empty.replaceChildren(
        h("p", null, chosen().size ? t("runs.nomatch") : t("runs.none")),
        chosen().size
          ? h("a", { class: "button", href: "/agents/k6/runs" }, t("filter.clear"))
          : h("a", { class: "button", href: "/agents/k6/sites" }, t("nav.sites")),
      );
      say();
    });
  }
  const matches = r =>
    ["targetId", "agent", "host", "status"].every(f => !inputs[f].value || r[f] === inputs[f].value) &&
    !inputs.to.value &&
    (!inputs.from.value || new Date(r.startedAt) >= new Date(inputs.from.value));
  const off = onEvent((name, r) => {
    if (name === "reset") load();
    if (name !== "run") return;
    const at = shown.findIndex(x => x.id === r.id);
    if (at >= 0) {
      shown[at] = r;
      const row = table.body.querySelector(`[data-id="${CSS.escape(r.id)}"]`);
      if (row && !row.contains(document.activeElement)) row.replaceWith(runRow(r));
      return;
    }
    if (page !== 1 || inputs.sort.value !== "-startedAt" || !matches(r)) return;
    total++;
    // While the user reads further down, or is in the table, the rows stay as they are.
    if (scrollY > 40 || table.body.contains(document.activeElement)) waiting++;
    else {
      shown = [r, ...shown].slice(0, PAGE);
      soon();
      empty.hidden = true;
    }
    say();
  });
  attempt(async () => {
    const [targets, hosts] = await Promise.all([get("/api/dashboard/k6/targets"), get("/api/dashboard/k6/hosts")]);
    const fill = (select, options) => {
      const value = select.value;
      select.replaceChildren(
        h("option", { value: "" }, t("any")),
        ...options.map(([v, text]) => h("option", { value: v }, text)),
      );
      if (value && !options.some(o => o[0] === value)) select.append(h("option", { value }, value));
      select.value = value;
    };
    fill(
      inputs.targetId,
      targets.items.map(x => [x.id, nameOf(x)]),
    );
    fill(
      inputs.host,
      hosts.items.filter(x => x.host).map(x => [x.host, x.host]),
    );
  });
  load();
  return () => {
    off();
    clearTimeout(timer);
  };
}
