// SPDX-License-Identifier: MIT
// A target as a form: the six fields first, the rest folded.  The server judges; what it says stands at the field.
import { h, field, showProblem } from "../../common/dom.js";
import { call, id } from "../../common/api.js";
import { t } from "../../common/i18n.js";
import { nameOf, number } from "../../common/format.js";
import { open, toast } from "../../components/dialogs.js";

const SCRIPT_MAX = 1048576;
const UNITS = { s: 1000, min: 60000, h: 3600000 };
const lines = text =>
  text
    .split("\n")
    .map(l => l.trim())
    .filter(Boolean);
function pairs(text, separator) {
  const made = {};
  for (const l of lines(text)) {
    const at = l.indexOf(separator);
    if (at < 1) throw new Error(t("form.line", { line: l, separator }));
    made[l.slice(0, at).trim()] = l.slice(at + separator.length).trim();
  }
  return made;
}
function lists(text) {
  const made = {};
  for (const l of lines(text)) {
    const at = l.lastIndexOf(": ");
    if (at < 1) throw new Error(t("form.line", { line: l, separator: ": " }));
    (made[l.slice(0, at).trim()] ??= []).push(l.slice(at + 2).trim());
  }
  return made;
}
function integer(control, name) {
  if (control.value.trim() === "") return null;
  const n = Number(control.value);
  if (!Number.isFinite(n)) throw new Error(t("form.number", { name }));
  return n;
}
const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/** Resolves to the target as the server has it now, or null. */
export function editTarget(old) {
  const o = old || {};
  const unit =
    Object.keys(UNITS)
      .reverse()
      .find(u => (o.runIntervalMs ?? 60000) % UNITS[u] === 0) || "s";
  const text = (value, more) => h("input", { value: value ?? "", ...more }),
    area = (value, more) => h("textarea", { rows: 3, spellcheck: "false", value: value ?? "", ...more });
  const c = {
    url: text(o.url, { type: "url", inputmode: "url", placeholder: "https://www.example.org/" }),
    label: text(o.label),
    vus: text(o.vus ?? 1, { type: "number", min: 1, max: 10000 }),
    durationS: text(o.durationS ?? 30, { type: "number", min: 1, max: 86400 }),
    runIntervalMs: text((o.runIntervalMs ?? 60000) / UNITS[unit], { type: "number", min: 0, step: "any" }),
    enabled: h("input", { type: "checkbox", checked: o.enabled ?? true }),
    method: h(
      "select",
      null,
      ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map(m => h("option", null, m)),
    ),
    headers: area(
      Object.entries(o.headers || {})
        .map(([k, v]) => `${k}: ${v}`)
        .join("\n"),
    ),
    body: area(o.body),
    expectedStatuses: text((o.expectedStatuses || []).join(", ")),
    checks: h(
      "select",
      null,
      ["count", "ignore"].map(v => h("option", { value: v }, t("checks." + v))),
    ),
    thresholds: area(
      Object.entries(o.thresholds || {})
        .flatMap(([k, l]) => l.map(e => `${k}: ${e}`))
        .join("\n"),
      { class: "code" },
    ),
    maxAgents: text(o.maxAgents, { type: "number", min: 1 }),
    timeoutS: text(o.timeoutS, { type: "number", min: 1 }),
    tags: area(
      Object.entries(o.tags || {})
        .map(([k, v]) => `${k}=${v}`)
        .join("\n"),
    ),
    script: area(o.script, { rows: 12, class: "code", wrap: "off" }),
  };
  c.method.value = o.method || "GET";
  c.checks.value = o.checks || "count";
  const units = h(
    "select",
    { "aria-label": t("form.unit") },
    Object.keys(UNITS).map(u => h("option", { value: u }, t("unit." + u))),
  );
  units.value = unit;
  const size = h("span", { class: "small quiet" });
  const measure = () => {
    const n = new TextEncoder().encode(c.script.value).length;
    size.textContent = t("form.size", { n: number(n), max: number(SCRIPT_MAX) });
    size.className = n > SCRIPT_MAX ? "bad small" : "small quiet";
  };
  c.script.addEventListener("input", measure);
  measure();
  const read = {
    url: () => c.url.value.trim() || null,
    label: () => c.label.value,
    vus: () => integer(c.vus, "vus"),
    durationS: () => integer(c.durationS, "durationS"),
    runIntervalMs: () => {
      const n = integer(c.runIntervalMs, "runIntervalMs");
      return n === null ? null : Math.round(n * UNITS[units.value]);
    },
    enabled: () => c.enabled.checked,
    method: () => c.method.value,
    headers: () => pairs(c.headers.value, ":"),
    body: () => c.body.value || null,
    expectedStatuses: () =>
      c.expectedStatuses.value
        .split(/[\s,]+/)
        .filter(Boolean)
        .map(Number),
    checks: () => c.checks.value,
    thresholds: () => lists(c.thresholds.value),
    maxAgents: () => integer(c.maxAgents, "maxAgents"),
    timeoutS: () => integer(c.timeoutS, "timeoutS"),
    tags: () => pairs(c.tags.value, "="),
    script: () => c.script.value || null,
  };
  const initial = Object.fromEntries(Object.entries(read).map(([k, f]) => [k, f()]));
  return open(old ? t("site.edit", { name: nameOf(o) }) : t("site.add"), close => {
    const general = h("p", { class: "bad", role: "alert" }),
      save = h("button", { class: "primary" }, t("save"));
    const folded = h(
      "details",
      null,
      h("summary", null, t("form.more")),
      h(
        "div",
        { class: "fields" },
        field(t("form.method"), c.method),
        field(t("form.statuses"), c.expectedStatuses, { hint: "200, 204" }),
        field(t("form.checks"), c.checks),
        field(t("form.maxAgents"), c.maxAgents),
        field(t("form.timeout"), c.timeoutS),
      ),
      field(t("form.headers"), c.headers, { hint: "Accept: text/html" }),
      field(t("form.body"), c.body),
      field(t("form.thresholds"), c.thresholds, { hint: "http_req_duration: p(95)<500" }),
      field(t("form.tags"), c.tags, { hint: "team=web" }),
      field(t("form.script"), c.script, { hint: t("form.script.hint") }),
      size,
    );
    folded.open = Boolean(o.script);
    function fail(name, message) {
      const control = c[name];
      if (!control) {
        general.textContent = message;
        return;
      }
      if (folded.contains(control)) folded.open = true;
      showProblem(control, message);
      control.focus();
    }
    async function submit(e) {
      e.preventDefault();
      general.textContent = "";
      for (const control of Object.values(c)) showProblem(control, null);
      const body = {};
      for (const [k, f] of Object.entries(read)) {
        let v;
        try {
          v = f();
        } catch (x) {
          fail(k, x.message);
          return;
        }
        if (
          old
            ? !same(v, initial[k])
            : !same(v, initial[k]) || ["url", "label", "vus", "durationS", "runIntervalMs", "enabled"].includes(k)
        )
          body[k] = v;
      }
      if (!old && body.url === null) delete body.url;
      save.disabled = true;
      try {
        const made = old
          ? Object.keys(body).length
            ? await call("PATCH", "/api/admin/k6/targets/" + id(o.id), body)
            : old
          : await call("POST", "/api/admin/k6/targets", body);
        close(made);
        toast(t("saved"));
      } catch (x) {
        fail(x.field ? x.field.split(/[.[]/)[0] : null, x.message);
      } finally {
        save.disabled = false;
      }
    }
    return h(
      "form",
      { onsubmit: submit, novalidate: true },
      h(
        "div",
        { class: "fields" },
        field("URL", c.url),
        field(t("form.label"), c.label),
        field("VUs", c.vus),
        field(t("form.duration"), c.durationS),
        h("div", { class: "row" }, field(t("form.interval"), c.runIntervalMs), units),
        field(t("form.enabled"), c.enabled, { inline: true }),
      ),
      folded,
      general,
      h("div", { class: "actions" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")), save),
    );
  });
}

/** Asks for agents and sync, and gives the order. */
export function runNow(target) {
  return open(
    t("runnow.title", { name: nameOf(target) }),
    close => {
      const agents = h("input", { type: "number", min: 1, max: 100000, value: 1 }),
        sync = h("input", { type: "checkbox" }),
        general = h("p", { class: "bad", role: "alert" });
      async function submit(e) {
        e.preventDefault();
        showProblem(agents, null);
        try {
          await call("POST", `/api/admin/k6/targets/${id(target.id)}/run`, {
            agents: Number(agents.value),
            sync: sync.checked,
          });
          close(true);
          toast(t("run.asked"));
        } catch (x) {
          if (x.field === "agents") showProblem(agents, x.message);
          else general.textContent = x.message;
        }
      }
      return h(
        "form",
        { onsubmit: submit, novalidate: true },
        field(t("runnow.agents"), agents),
        field(t("runnow.sync"), sync, { inline: true }),
        general,
        h(
          "div",
          { class: "actions" },
          h("button", { type: "button", onclick: () => close(false) }, t("cancel")),
          h("button", { class: "primary" }, t("runnow")),
        ),
      );
    },
    { narrow: true },
  );
}
