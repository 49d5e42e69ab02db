// SPDX-License-Identifier: MIT
// Latency by percentile, as SVG: 101 points need no library.
import { h } from "../common/dom.js";
import { t } from "../common/i18n.js";
import { ms } from "../common/format.js";

export function quantileCurve(q) {
  const W = 600,
    H = 180,
    top = Math.max(q[100], 1e-9),
    x = i => (i / 100) * W,
    y = v => H - 4 - (v / top) * (H - 12);
  const label = t("curve.label", { p50: ms(q[50]), p95: ms(q[95]), p99: ms(q[99]), max: ms(q[100]) });
  const told = h("p", { class: "small quiet", role: "status" }, label);
  const svg = h(
    "svg",
    {
      "viewBox": `0 0 ${W} ${H}`,
      "width": "100%",
      "height": H,
      "preserveAspectRatio": "none",
      "role": "img",
      "aria-label": label,
    },
    [25, 50, 75, 95].map(p =>
      h("path", {
        "d": `M${x(p)} 0V${H}`,
        "stroke": "var(--line)",
        "stroke-width": 1,
        "vector-effect": "non-scaling-stroke",
      }),
    ),
    h("path", {
      "d": "M" + q.map((v, i) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join("L"),
      "fill": "none",
      "stroke": "var(--series-1)",
      "stroke-width": 2,
      "vector-effect": "non-scaling-stroke",
    }),
  );
  svg.addEventListener("pointermove", e => {
    const p = Math.max(0, Math.min(100, Math.round((e.offsetX / svg.clientWidth) * 100)));
    told.textContent = `p${p}: ${ms(q[p])} · ${label}`;
  });
  return h("div", null, svg, told);
}
