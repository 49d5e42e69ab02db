// SPDX-License-Identifier: MIT
import { h } from "../common/dom.js";
import { id } from "../common/api.js";
import { t } from "../common/i18n.js";
import { ms, percent, statusText } from "../common/format.js";

export const STRIP = 24;
/** The last runs, oldest first: height and colour tell their state.  One link for the keyboard is the table's; these are for the mouse. */
export function strip(runs) {
  const counts = {};
  for (const r of runs) counts[r.status] = (counts[r.status] || 0) + 1;
  const told = Object.entries(counts).map(([s, n]) => `${n} ${statusText(s)}`).join(", ");
  return h("span", { class: "strip", role: "img", "aria-label": runs.length ? t("strip.label", { n: runs.length, told }) : t("strip.none") },
    Array.from({ length: Math.max(0, STRIP - runs.length) }, () => h("span")),
    runs.slice(0, STRIP).reverse().map(r => h("a", { class: r.status, href: "/agents/k6/runs/" + id(r.id), tabindex: -1, "aria-hidden": "true", title: `${new Date(r.startedAt).toLocaleString()} · ${statusText(r.status)} · p95 ${ms(r.p95_ms)} · ${percent(r.error_rate)}` })));
}
