// SPDX-License-Identifier: MIT
import { language, t } from "./i18n.js";
import { h } from "./dom.js";

export const DASH = "–";
const made = new Map();
function formatter(kind, options) {
  const key = language() + kind.name + JSON.stringify(options);
  if (!made.has(key)) made.set(key, new kind(language(), options));
  return made.get(key);
}
/** Returns the name of a target: its label, its URL or its id. */
export const nameOf = target => target.label || target.url || target.id;
const known = v => v !== null && v !== undefined && Number.isFinite(v);

export const number = (v, digits = 0) =>
  known(v) ? formatter(Intl.NumberFormat, { maximumFractionDigits: digits }).format(v) : DASH;
export const percent = v =>
  known(v) ? formatter(Intl.NumberFormat, { style: "percent", maximumFractionDigits: 1 }).format(v) : DASH;
export const ms = v => (known(v) ? number(v, v < 10 ? 2 : v < 100 ? 1 : 0) + " ms" : DASH);
export const bytes = v =>
  !known(v)
    ? DASH
    : v < 1024
      ? number(v) + " B"
      : v < 1048576
        ? number(v / 1024, 1) + " KiB"
        : number(v / 1048576, 1) + " MiB";
export function duration(milliseconds) {
  if (!known(milliseconds)) return DASH;
  const s = milliseconds / 1000;
  if (s > 0 && s < 1) return number(milliseconds) + " ms";
  return s < 60
    ? number(s, 1) + " s"
    : s < 3600
      ? number(s / 60, 1) + " min"
      : s < 86400
        ? number(s / 3600, 1) + " h"
        : number(s / 86400, 1) + " d";
}
export const timeText = iso =>
  iso ? formatter(Intl.DateTimeFormat, { dateStyle: "short", timeStyle: "medium" }).format(new Date(iso)) : DASH;
/** A time in the viewer's time zone; UTC is in its title. */
export function time(iso) {
  if (!iso) return DASH;
  return h("time", { datetime: iso, title: iso.replace("T", " ").replace("Z", " UTC") }, timeText(iso));
}
export function ago(iso) {
  if (!iso) return DASH;
  const s = Math.round((new Date(iso) - Date.now()) / 1000),
    a = Math.abs(s);
  const [v, unit] =
    a < 60 ? [s, "second"] : a < 3600 ? [s / 60, "minute"] : a < 86400 ? [s / 3600, "hour"] : [s / 86400, "day"];
  const e = time(iso);
  e.textContent = formatter(Intl.RelativeTimeFormat, { numeric: "auto" }).format(Math.round(v), unit);
  return e;
}

const SHAPES = {
  success: "M3 8l3.5 3.5L13 4.5",
  idle: "circle",
  running: "M4 3l9 5-9 5z",
  draining: "M3 4h10L8 13z",
  failed: "M8 2l6.5 12h-13z",
  error: "M4 4l8 8M12 4l-8 8",
  offline: "ring",
  stopped: "M4 4h8v8H4z",
};
/** A state, shown by shape, colour and text. */
export function mark(status, size = 14) {
  const shape = SHAPES[status] || "ring",
    line = status === "success" || status === "error";
  const attributes = {
    "fill": line || shape === "ring" ? "none" : "currentColor",
    "stroke": "currentColor",
    "stroke-width": line || shape === "ring" ? 2.4 : 0,
  };
  return h(
    "svg",
    {
      "viewBox": "0 0 16 16",
      "width": size,
      "height": size,
      "aria-hidden": "true",
      "class": "is-" + (SHAPES[status] ? status : "other"),
    },
    shape === "circle" || shape === "ring"
      ? h("circle", { cx: 8, cy: 8, r: 5, ...attributes })
      : h("path", { d: shape, ...attributes }),
  );
}
export const statusText = status => t("status." + status, null, status);
export const status = (value, reason) =>
  h(
    "span",
    { class: "status is-" + (SHAPES[value] ? value : "other") },
    mark(value),
    reason ? `${statusText(value)}: ${t("reason." + reason, null, reason)}` : statusText(value),
  );
