// SPDX-License-Identifier: MIT
import { h } from "../common/dom.js";
import { id } from "../common/api.js";
import { t } from "../common/i18n.js";
import { ms, percent, number, time, status, DASH } from "../common/format.js";

const COLUMNS = ["when", "target", "agent", "p95", "fail", "rps", "status"];
export function runRow(r) {
  const m = r.metrics || {},
    bad = m.error_rate > 0.05;
  const cells = [
    h("a", { href: "/agents/k6/runs/" + id(r.id) }, time(r.startedAt || r.scheduledAt)),
    r.targetId ? h("a", { href: "/agents/k6/sites/" + id(r.targetId) }, r.targetLabel || r.targetId) : DASH,
    r.agent ? r.agent + (r.host ? " · " + r.host : "") : DASH,
    ms(m.p95_ms),
    percent(m.error_rate),
    number(m.rps, 1),
    status(r.status, r.reason),
  ];
  return h(
    "tr",
    { "data-id": r.id },
    cells.map((c, i) =>
      h(
        "td",
        {
          "data-label": t("run." + COLUMNS[i]),
          "class": i >= 3 && i <= 5 ? (i === 4 && bad ? "n bad" : "n") : null,
          "title": i === 6 ? r.errorMessage : null,
        },
        c,
      ),
    ),
  );
}
export function runTable(caption, runs) {
  const body = h("tbody", null, runs.map(runRow));
  return {
    body,
    element: h(
      "div",
      { class: "scroll" },
      h(
        "table",
        { class: "cards fixed" },
        h("caption", { class: "hidden" }, caption),
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            COLUMNS.map((c, i) =>
              h("th", { "scope": "col", "data-column": c, "class": i >= 3 && i <= 5 ? "n" : null }, t("run." + c)),
            ),
          ),
        ),
        body,
      ),
    ),
  };
}
