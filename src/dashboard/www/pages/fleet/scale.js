// SPDX-License-Identifier: MIT
// The desired count: slider, number, presets; progress until it is reached; undo.
import { h, field } from "../../common/dom.js";
import { call } from "../../common/api.js";
import { t } from "../../common/i18n.js";
import { number } from "../../common/format.js";
import { attempt, confirm, toast } from "../../components/dialogs.js";

const PRESETS = [0, 1, 5, 10, 50, 100, 500, 1000];

/** Returns the busy agents that a count of n would stop: each host keeps its lowest slots. */
function stopped(n, hosts, agents) {
  const online = hosts
    .filter(o => o.managed && o.online)
    .map(o => ({ host: o.host, max: o.maxAgents ?? 1000, share: 0 }));
  let left = n;
  while (left > 0 && online.some(o => o.share < o.max)) {
    for (const o of online)
      if (left > 0 && o.share < o.max) {
        o.share++;
        left--;
      }
  }
  const share = new Map(online.map(o => [o.host, o.share]));
  return agents.filter(
    a => a.status === "running" && share.has(a.host) && a.slot !== null && a.slot >= share.get(a.host),
  ).length;
}

export function scaleCard(model) {
  const range = h("input", { "type": "range", "min": 0, "max": 1000, "step": 1, "aria-label": t("scale") });
  const count = h("input", { type: "number", min: 0, max: 100000, step: 1, inputmode: "numeric" });
  const apply = h("button", { class: "primary" }, t("scale.apply"));
  const bar = h("progress", { "max": 1, "value": 1, "aria-label": t("scale.progress") }),
    told = h("span", { class: "small quiet", role: "status" });
  const presets = PRESETS.map(n =>
    h("button", { type: "button", class: "small", onclick: () => choose(n) }, number(n)),
  );
  let typed = false;
  function choose(n) {
    typed = true;
    range.value = Math.min(1000, n);
    count.value = n;
    draw();
  }
  range.addEventListener("input", () => choose(Number(range.value)));
  count.addEventListener("input", () => {
    typed = true;
    range.value = Math.min(1000, Number(count.value) || 0);
    draw();
  });

  async function set(n, undo) {
    const before = model.overview.desired;
    const ends = n < before ? stopped(n, model.hosts, [...model.agents.values()]) : 0;
    if (
      ends &&
      !undo &&
      !(await confirm(
        t("scale.confirm.title", { n: number(n) }),
        t("scale.confirm", { n: number(ends) }),
        t("scale.apply"),
        { danger: true },
      ))
    )
      return;
    await attempt(async () => {
      const c = await call("PUT", "/api/admin/config", { k6DesiredAgentCount: n });
      typed = false;
      model.setDesired(c.k6DesiredAgentCount);
      if (!undo && before !== n)
        toast(t("scale.done", { from: number(before), to: number(n) }), {
          label: t("undo"),
          action: () => set(before, true),
        });
    });
  }
  function submit(e) {
    e.preventDefault();
    const n = Number(count.value);
    if (count.value === "" || !Number.isInteger(n) || n < 0 || n > 100000) {
      toast(t("scale.range"), { problem: true });
      count.focus();
      return;
    }
    set(n);
  }
  function draw() {
    const o = model.overview;
    if (!o) return;
    if (!typed) {
      range.value = Math.min(1000, o.desired);
      count.value = o.desired;
    }
    apply.disabled = Number(count.value) === o.desired && count.value !== "";
    presets.forEach((b, i) => b.setAttribute("aria-pressed", Number(count.value) === PRESETS[i]));
    const reached = o.running === o.desired;
    bar.max = Math.max(1, o.desired, o.running);
    bar.value = Math.min(o.running, o.desired);
    bar.hidden = reached;
    told.textContent = reached
      ? t("scale.reached", { n: number(o.running) })
      : t("scale.going", { running: number(o.running), desired: number(o.desired) });
  }
  const element = h(
    "form",
    { class: "card", onsubmit: submit, novalidate: true },
    h("h2", null, t("scale")),
    h(
      "div",
      { class: "scale" },
      range,
      field(t("scale.count"), count, { inline: true }),
      apply,
      h("div", { "class": "row", "role": "group", "aria-label": t("scale.presets") }, presets),
    ),
    h("p", { class: "row" }, bar, told),
  );
  return { element, draw };
}
