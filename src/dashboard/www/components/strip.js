// SPDX-License-Identifier: MIT
import { h } from "../common/dom.js";
import { id } from "../common/api.js";
import { t } from "../common/i18n.js";
import { ms, percent, statusText, timeText } from "../common/format.js";

export const STRIP = 24;
/** The last runs of a target, oldest first, as a link to all its runs; height and colour show the status of each. */
export function strip(targetId, runs) {
  const counts = {};
  for (const r of runs) counts[r.status] = (counts[r.status] || 0) + 1;
  const told = Object.entries(counts)
    .map(([s, n]) => `${n} ${statusText(s)}`)
    .join(", ");
  return h(
    "a",
    {
      "class": "strip",
      "href": "/agents/k6/runs?targetId=" + id(targetId),
      "aria-label": runs.length ? t("strip.label", { n: runs.length, told }) : t("strip.none"),
    },
    Array.from({ length: Math.max(0, STRIP - runs.length) }, () => h("span")),
    runs
      .slice(0, STRIP)
      .reverse()
      .map(r =>
        h("span", {
          class: r.status === "success" && r.error_rate > 0.05 ? "failed" : r.status,
          title: `${timeText(r.startedAt)} · ${statusText(r.status)} · p95 ${ms(r.p95_ms)} · ${percent(r.error_rate)}`,
        }),
      ),
  );
}
