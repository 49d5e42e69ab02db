// SPDX-License-Identifier: MIT
// A target as a form, made from the rows of fields.js: the first fields open, the rest folded.  The server judges; what
// it says stands at the field.
import { h, field, showProblem } from "../../common/dom.js";
import { call, id } from "../../common/api.js";
import { pick, t } from "../../common/i18n.js";
import { nameOf, number } from "../../common/format.js";
import { open, toast } from "../../components/dialogs.js";
import { FIELDS } from "./fields.js";

const UNITS = { s: 1000, min: 60000, h: 3600000 };
const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/** Calls take(name, value) for each line "name, separator, value"; the separator is found by find(line). */
function eachPair(text, separator, find, take) {
  for (const line of text.split("\n").map(l => l.trim())) {
    if (!line) continue;
    const at = find(line);
    if (at < 1) throw new Error(t("form.line", { line, separator }));
    take(line.slice(0, at).trim(), line.slice(at + separator.length).trim());
  }
}
function readNumber(control, row) {
  if (control.value.trim() === "") return null;
  const n = Number(control.value);
  if (!Number.isFinite(n)) throw new Error(t("form.number", { name: row.name }));
  return n;
}
const input = (value, more) => h("input", { value: value ?? "", ...more });
const area = (value, more) => h("textarea", { rows: 3, spellcheck: "false", value: value ?? "", ...more });
const readText = (control, row) => (row.null ? control.value || null : control.value);

function makeInterval(value) {
  const largest = Object.keys(UNITS).reverse();
  const unit = largest.find(u => value % UNITS[u] === 0) || "s";
  const units = h(
    "select",
    { "aria-label": t("form.unit") },
    Object.keys(UNITS).map(u => h("option", { value: u }, t("unit." + u))),
  );
  units.value = unit;
  return { control: input(value / UNITS[unit], { type: "number", min: 0, step: "any" }), beside: units };
}
function makeScript(value, row) {
  const control = area(value, { rows: 12, class: "code", wrap: "off" }),
    size = h("span", { class: "small quiet" });
  const measure = () => {
    const n = new TextEncoder().encode(control.value).length;
    size.textContent = t("form.size", { n: number(n), max: number(row.max) });
    size.className = n > row.max ? "bad small" : "small quiet";
  };
  control.addEventListener("input", measure);
  measure();
  return { control, below: size };
}
function makeChoice(value, row) {
  const options = row.choices.map(([v, en, pt]) => h("option", { value: v }, en ? pick(en, pt) : v));
  const control = h("select", null, options);
  control.value = value;
  return { control };
}
function readPairs(control, row) {
  const made = {};
  eachPair(
    control.value,
    row.separator,
    line => line.indexOf(row.separator),
    (name, value) => (made[name] = value),
  );
  return made;
}
function readThresholds(control) {
  const made = {};
  eachPair(
    control.value,
    ": ",
    line => line.lastIndexOf(": "),
    (metric, expression) => (made[metric] ??= []).push(expression),
  );
  return made;
}
function writePairs(value, row) {
  const between = row.separator === ":" ? ": " : row.separator;
  return Object.entries(value || {}).map(([name, v]) => name + between + v);
}
const writeThresholds = value => Object.entries(value || {}).flatMap(([m, list]) => list.map(e => `${m}: ${e}`));

/** By kind: make(value, row) gives { control, beside, below } with the control that shows the value, and what else
 *  belongs to the field; read(control, row, beside) gives the value back, or throws what is wrong with it.
 *  A wide field takes the whole width of the form. */
const KINDS = {
  text: { make: value => ({ control: input(value) }), read: readText },
  url: {
    make: v => ({ control: input(v, { type: "url", inputmode: "url", placeholder: "https://www.example.org/" }) }),
    read: control => control.value.trim() || null,
  },
  area: { wide: true, make: value => ({ control: area(value) }), read: readText },
  script: { wide: true, make: makeScript, read: readText },
  number: {
    make: (v, row) => ({ control: input(v, { type: "number", min: row.min, max: row.max }) }),
    read: readNumber,
  },
  interval: {
    make: makeInterval,
    read(control, row, units) {
      const n = readNumber(control, row);
      return n === null ? null : Math.round(n * UNITS[units.value]);
    },
  },
  flag: {
    make: value => ({ control: h("input", { type: "checkbox", checked: value }) }),
    read: control => control.checked,
  },
  choice: { make: makeChoice, read: readText },
  pairs: { wide: true, make: (v, row) => ({ control: area(writePairs(v, row).join("\n")) }), read: readPairs },
  thresholds: {
    wide: true,
    make: value => ({ control: area(writeThresholds(value).join("\n"), { class: "code" }) }),
    read: readThresholds,
  },
  statuses: {
    make: value => ({ control: input((value || []).join(", ")) }),
    read(control) {
      const words = control.value.split(/[\s,]+/).filter(Boolean);
      return words.map(Number);
    },
  },
};

/** The field with its label, as it stands in the form. */
function makeField(row, made) {
  const hint = Array.isArray(row.hint) ? pick(...row.hint) : row.hint;
  const labelled = field(pick(row.en, row.pt), made.control, { hint, inline: row.kind === "flag" });
  return made.beside ? h("div", { class: "row" }, labelled, made.beside) : [labelled, made.below];
}

/** Resolves to the target as the server has it now, or null. */
export function editTarget(old) {
  const fields = FIELDS.map(row => {
    const made = KINDS[row.kind].make(old?.[row.name] ?? row.initial, row);
    return { row, ...made, read: () => KINDS[row.kind].read(made.control, row, made.beside) };
  });
  for (const f of fields) f.initial = f.read();
  const show = wanted => fields.filter(f => wanted(f.row)).map(f => makeField(f.row, f));
  const isWide = row => Boolean(KINDS[row.kind].wide);
  return open(old ? t("site.edit", { name: nameOf(old) }) : t("site.add"), close => {
    const general = h("p", { class: "bad", role: "alert" }),
      save = h("button", { class: "primary" }, t("save"));
    const folded = h(
      "details",
      null,
      h("summary", null, t("form.more")),
      h("div", { class: "fields" }, ...show(row => !row.first && !isWide(row))),
      ...show(row => !row.first && isWide(row)),
    );
    folded.open = Boolean(old?.script);
    function fail(name, message) {
      const control = fields.find(f => f.row.name === name)?.control;
      if (!control) {
        general.textContent = message;
        return;
      }
      if (folded.contains(control)) folded.open = true;
      showProblem(control, message);
      control.focus();
    }
    /** What has changed, and of a new target the first fields; null after a mistake, which is shown. */
    function collect() {
      const body = {};
      for (const f of fields) {
        try {
          const value = f.read();
          if (!same(value, f.initial) || (!old && f.row.first)) body[f.row.name] = value;
        } catch (x) {
          fail(f.row.name, x.message);
          return null;
        }
      }
      if (!old && body.url === null) delete body.url;
      return body;
    }
    function send(body) {
      if (!old) return call("POST", "/api/admin/k6/targets", body);
      return Object.keys(body).length ? call("PATCH", "/api/admin/k6/targets/" + id(old.id), body) : old;
    }
    async function submit(e) {
      e.preventDefault();
      general.textContent = "";
      for (const f of fields) showProblem(f.control, null);
      const body = collect();
      if (!body) return;
      save.disabled = true;
      try {
        close(await send(body));
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
      h("div", { class: "fields" }, ...show(row => row.first)),
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
