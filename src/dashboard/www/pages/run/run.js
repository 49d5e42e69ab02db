// SPDX-License-Identifier: MIT
import { h } from "../../common/dom.js";
import { call, get, id } from "../../common/api.js";
import { t } from "../../common/i18n.js";
import { onEvent } from "../../common/live.js";
import { duration, mark, bytes, ms, number, percent, status, time, DASH } from "../../common/format.js";
import { attempt, toast } from "../../components/dialogs.js";
import { quantileCurve } from "../../components/curve.js";

const METRICS = {
  p50_ms: ms,
  p95_ms: ms,
  p99_ms: ms,
  avg_ms: ms,
  error_rate: percent,
  rps: v => number(v, 1),
  data_received_bytes: bytes,
  iterations: number,
  http_reqs: number,
  http_reqs_answered: number,
  checks_passed: number,
  checks_failed: number,
  vus: number,
};

export default function run(place, { parameter, title }) {
  title(t("run.title"));
  const fact = (name, value) => h("div", null, h("dt", null, name), h("dd", null, value ?? DASH));
  const body = h("div", null, t("loading"));
  place.append(body);
  async function load() {
    let r;
    try {
      r = await get("/api/dashboard/k6/runs/" + id(parameter));
    } catch (e) {
      body.replaceChildren(
        h(
          "div",
          { class: "card empty" },
          h("h1", null, e.status === 404 ? t("run.missing") : t("error.title")),
          h("p", null, e.message),
          h("a", { class: "button", href: "/agents/k6/runs" }, t("nav.runs")),
        ),
      );
      return;
    }
    title(r.targetLabel || r.targetId || r.id);
    const m = r.metrics || {},
      res = r.resources || {};
    const again = r.targetId
      ? h(
          "button",
          {
            type: "button",
            class: "primary",
            onclick: () =>
              attempt(async () => {
                await call("POST", `/api/admin/k6/targets/${id(r.targetId)}/run`, { agents: 1 });
                toast(t("run.asked"));
              }),
          },
          t("run.again"),
        )
      : null;
    const cancel =
      r.status === "running"
        ? h(
            "button",
            {
              type: "button",
              class: "danger",
              onclick: () =>
                attempt(async () => {
                  await call("POST", `/api/admin/k6/runs/${id(r.id)}/cancel`);
                  toast(t("run.cancelled"));
                }),
            },
            t("run.cancel"),
          )
        : null;
    body.replaceChildren(
      h(
        "div",
        { class: "row" },
        h("h1", { class: "grow" }, r.targetLabel || r.targetId || r.id),
        status(r.status, r.reason),
        cancel,
        again,
      ),
      r.errorMessage ? h("p", { class: "card" }, r.errorMessage) : "",
      h(
        "section",
        { class: "card" },
        h("h2", null, t("run.about")),
        h(
          "dl",
          { class: "facts" },
          fact(t("run.id"), r.id),
          fact(
            t("run.target"),
            r.targetId ? h("a", { href: "/agents/k6/sites/" + id(r.targetId) }, r.targetLabel || r.targetId) : DASH,
          ),
          fact(t("run.agent"), r.agent),
          fact(t("run.host"), r.host || DASH),
          fact(t("run.scheduled"), time(r.scheduledAt)),
          fact(t("run.started"), time(r.startedAt)),
          fact(t("run.finished"), time(r.finishedAt)),
          fact(t("run.planned"), duration(r.plannedMs)),
          fact(t("run.lag"), ms(r.lagMs)),
          fact(t("run.exit"), r.exitCode === null ? DASH : String(r.exitCode)),
        ),
      ),
      h(
        "section",
        { class: "card" },
        h("h2", null, t("run.metrics")),
        h(
          "dl",
          { class: "facts" },
          Object.entries(METRICS).map(([k, f]) => {
            const v = f(m[k]);
            return fact(t("metric." + k), k === "error_rate" && m[k] > 0.05 ? h("span", { class: "bad" }, v) : v);
          }),
        ),
      ),
      h(
        "section",
        { class: "card" },
        h("h2", null, t("run.curve")),
        r.latencyQuantiles ? quantileCurve(r.latencyQuantiles) : h("p", { class: "quiet" }, t("run.nocurve")),
      ),
      h(
        "section",
        { class: "card" },
        h("h2", null, t("run.thresholds")),
        r.thresholds?.length
          ? h(
              "ul",
              null,
              r.thresholds.map(x =>
                h(
                  "li",
                  { class: "status" },
                  mark(x.ok ? "success" : "error"),
                  `${x.metric}: ${x.expression} – ${x.ok ? t("kept") : t("crossed")}`,
                ),
              ),
            )
          : h("p", { class: "quiet" }, t("run.nothresholds")),
      ),
      h(
        "section",
        { class: "card" },
        h("h2", null, t("run.resources")),
        h(
          "dl",
          { class: "facts" },
          fact(t("resource.cpu"), duration(res.cpuMs)),
          fact(t("resource.rss"), bytes(res.maxRssBytes)),
          fact(t("resource.tmp"), bytes(res.tmpBytes)),
        ),
      ),
      h(
        "section",
        { class: "card" },
        h("h2", null, t("run.log")),
        r.log
          ? h("pre", { "tabindex": 0, "role": "region", "aria-label": t("run.log") }, r.log)
          : h("p", { class: "quiet" }, r.status === "success" ? t("run.nolog.success") : t("run.nolog")),
      ),
    );
  }
  const off = onEvent((name, data) => {
    if (name === "reset" || (name === "run" && data.id === parameter)) load();
  });
  load();
  return off;
}
