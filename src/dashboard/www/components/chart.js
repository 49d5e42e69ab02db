// SPDX-License-Identifier: MIT
// Charts by uPlot, which is loaded with the first chart; a build without uPlot shows tables.
import { h } from "../common/dom.js";
import { language, t } from "../common/i18n.js";
import { number, DASH } from "../common/format.js";

let loading = null;
function load() {
  if (document.documentElement.dataset.charts !== "yes") return null; // built without it
  loading ??= new Promise(resolve => {
    const base = new URL("../uplot/", import.meta.url);
    document.head.append(
      h("link", { rel: "stylesheet", href: base + "uplot.css" }),
      h("script", { src: base + "uplot.js", onload: () => resolve(globalThis.uPlot), onerror: () => resolve(null) }),
    );
  });
  return loading;
}
const token = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const dark = matchMedia("(prefers-color-scheme: dark)");

/**
 * A chart in `place`.  series: [{ label, color (a token), points: true for dots alone, format }].
 * floor: the smallest value that the top of the vertical axis may have.  A click calls onPick(seriesIndex, dataIndex).
 * The chart's set(data, { lines: [{ value, label }] }) takes data in uPlot's form, with times in seconds.
 */
export async function chart(place, { title, series, height = 240, low, onPick, bars, floor = 1e-9 }) {
  place.classList.add("chart");
  if (low) place.classList.add("low");
  const uPlot = await load();
  let plot = null,
    data = [[]],
    lines = [];
  if (!uPlot)
    return {
      set(d) {
        place.replaceChildren(asTable(title, series, d));
      },
      destroy() {},
    };
  function draw() {
    plot?.destroy();
    const quiet = token("--quiet"),
      line = token("--line");
    const axis = { stroke: quiet, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const clock = new Intl.DateTimeFormat(language(), { dateStyle: "short", timeStyle: "short" });
    plot = new uPlot(
      {
        width: Math.max(200, place.clientWidth),
        height,
        legend: { live: true },
        cursor: { y: false, focus: { prox: 20 } },
        axes: [
          {
            ...axis,
            space: 85,
            values: (u, splits) =>
              splits.map(s =>
                new Intl.DateTimeFormat(
                  language(),
                  u.scales.x.max - u.scales.x.min > 2 * 86400
                    ? { month: "short", day: "numeric" }
                    : { hour: "2-digit", minute: "2-digit" },
                ).format(s * 1000),
              ),
          },
          {
            ...axis,
            size: 58,
            values: (u, splits) => splits.map(v => (series[0].format ? series[0].format(v) : number(v, 2))),
          },
        ],
        series: [
          { label: t("time"), value: (u, v) => (v === null ? DASH : clock.format(v * 1000)) },
          ...series.map(s => ({
            label: s.label,
            stroke: token(s.color),
            width: s.points ? 0 : 2,
            dash: s.dash,
            spanGaps: false,
            paths: bars ? uPlot.paths.bars({ size: [0.8] }) : s.points ? () => null : undefined,
            fill: bars ? token(s.color) : undefined,
            points: { ...(s.points ? { show: true } : {}), size: s.points ? 7 : 5, fill: token(s.color) },
            value: (u, v) => (v === null || v === undefined ? DASH : s.format ? s.format(v) : number(v, 2)),
          })),
        ],
        scales: {
          x: { time: true },
          y: { range: (u, min, max) => [0, Math.max(max ?? 0, ...lines.map(l => l.value), floor) * 1.08] },
        },
        hooks: {
          draw: [
            u => {
              const c = u.ctx;
              for (const l of lines) {
                const y = u.valToPos(l.value, "y", true);
                c.save();
                c.strokeStyle = c.fillStyle = token("--failed");
                c.setLineDash([6, 4]);
                c.lineWidth = 1.5 * devicePixelRatio;
                c.beginPath();
                c.moveTo(u.bbox.left, y);
                c.lineTo(u.bbox.left + u.bbox.width, y);
                c.stroke();
                c.textAlign = "left";
                c.font = `${12 * devicePixelRatio}px system-ui`;
                c.fillText(l.label, u.bbox.left + 6, y - 5);
                c.restore();
              }
            },
          ],
          ready: [
            u =>
              u.over.addEventListener("click", () => {
                const i = u.cursor.idx;
                if (onPick && i !== null && i !== undefined) onPick(i);
              }),
          ],
        },
      },
      data,
      place,
    );
    plot.root.setAttribute("role", "img");
    plot.root.setAttribute("aria-label", title);
  }
  const size = new ResizeObserver(() => {
    if (plot && Math.abs(plot.width - place.clientWidth) > 1)
      plot.setSize({ width: Math.max(200, place.clientWidth), height });
  });
  size.observe(place);
  dark.addEventListener("change", draw);
  return {
    set(d, more = {}) {
      data = d;
      lines = more.lines || [];
      if (plot) {
        plot.setData(d);
      } else draw();
    },
    destroy() {
      size.disconnect();
      dark.removeEventListener("change", draw);
      plot?.destroy();
    },
  };
}

function asTable(title, series, data) {
  const clock = new Intl.DateTimeFormat(language(), { dateStyle: "short", timeStyle: "short" });
  return h(
    "div",
    { "class": "chart-fallback", "tabindex": 0, "role": "region", "aria-label": title },
    h(
      "table",
      null,
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          h("th", null, t("time")),
          series.map(s => h("th", { class: "n" }, s.label)),
        ),
      ),
      h(
        "tbody",
        null,
        data[0].map((x, i) =>
          h(
            "tr",
            null,
            h("td", null, clock.format(x * 1000)),
            series.map((s, k) => h("td", { class: "n" }, number(data[k + 1][i], 2))),
          ),
        ),
      ),
    ),
  );
}
