// SPDX-License-Identifier: MIT
// Makes elements and never parses HTML: data from elsewhere becomes text or an attribute.
const SVG = new Set(["svg", "path", "circle", "rect"]);

/** Makes an element: h("td", { class: "n", onclick: f }, "text", node, null …). */
export function h(tag, props, ...children) {
  const e = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") e[name] = value;
    else e.setAttribute(name, value === true ? "" : String(value));
  }
  e.append(...children.flat().filter(c => c !== null && c !== undefined && c !== false));
  return e;
}

let serial = 0;
export const newId = prefix => prefix + "-" + ++serial;

/** A label with its control; showProblem() fills `problem` below it. */
export function field(label, control, { hint, inline, name } = {}) {
  control.id = control.id || newId("f");
  if (name) control.name = name;
  const problem = h("span", { class: "problem", id: control.id + "-problem" });
  control.setAttribute("aria-describedby", problem.id);
  const caption = h("label", { for: control.id }, label);
  return h(
    "div",
    { class: inline ? "field inline" : "field" },
    inline ? [control, caption] : [caption, control],
    hint ? h("span", { class: "quiet small" }, hint) : null,
    problem,
  );
}

export function showProblem(control, text) {
  const place = document.getElementById(control.id + "-problem");
  if (text) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
  if (place) place.textContent = text || "";
}

/** Returns a function that calls f at most once a frame. */
export function oncePerFrame(f) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      f();
    });
  };
}
