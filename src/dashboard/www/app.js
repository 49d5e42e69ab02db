// SPDX-License-Identifier: MIT
// The frame of all pages: choice of the page, navigation without reload, state of the connection, language, signing in.
import { h } from "./common/dom.js";
import { t, language, languages, setLanguage } from "./common/i18n.js";
import { credentials, setCredentials, onCredentials, setSignIn } from "./common/api.js";
import { connection, onConnection, silentSince, start } from "./common/live.js";
import { signIn } from "./components/dialogs.js";
import { time } from "./common/format.js";

const PAGES = [
  [/^\/(?:agents\/k6\/?)?$/, () => import("./pages/fleet/fleet.js"), "fleet"],
  [/^\/agents\/k6\/sites\/?$/, () => import("./pages/sites/sites.js"), "sites"],
  [/^\/agents\/k6\/sites\/([^/]+)$/, () => import("./pages/site/site.js"), "sites"],
  [/^\/agents\/k6\/runs\/?$/, () => import("./pages/runs/runs.js"), "runs"],
  [/^\/agents\/k6\/runs\/([^/]+)$/, () => import("./pages/run/run.js"), "runs"],
];
const main = document.getElementById("main"),
  nav = document.getElementById("nav"),
  tools = document.getElementById("tools"),
  stale = document.getElementById("stale");
let leave = null,
  shown = 0,
  section = null;

async function show(focus) {
  const turn = ++shown;
  const [pattern, load, part] = PAGES.find(([p]) => p.test(location.pathname)) || PAGES[0];
  const parameter = pattern.exec(location.pathname)?.[1];
  const page = await load();
  if (turn !== shown) return;
  leave?.();
  leave = null;
  section = part;
  showSection();
  const place = h("div");
  main.replaceChildren(place);
  const title = name => {
    document.title = name + " · k6fleet";
  };
  leave = page.default(place, { parameter: parameter && decodeURIComponent(parameter), go, title });
  if (focus) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}
function showSection() {
  for (const a of nav.children) {
    if (a.dataset.section === section) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
}
export function go(path, { replace } = {}) {
  if (replace) history.replaceState(null, "", path);
  else {
    history.pushState(null, "", path);
    show(true);
  }
}
document.addEventListener("click", e => {
  const a = e.target.closest?.("a[href]");
  if (
    !a ||
    e.defaultPrevented ||
    e.button ||
    e.metaKey ||
    e.ctrlKey ||
    e.shiftKey ||
    e.altKey ||
    a.target ||
    a.hasAttribute("download")
  )
    return;
  const to = new URL(a.href);
  if (to.origin !== location.origin || !(to.pathname === "/" || to.pathname.startsWith("/agents/")) || to.hash) return;
  e.preventDefault();
  go(to.pathname + to.search);
});
addEventListener("popstate", () => show(false));

const state = h("span", { class: "connection", role: "status" });
function showConnection() {
  const c = connection(),
    shapes = { live: "is-success", connecting: "is-running", lost: "is-error", closed: "is-offline" };
  state.replaceChildren(
    h(
      "svg",
      { "viewBox": "0 0 16 16", "width": 12, "height": 12, "class": shapes[c], "aria-hidden": "true" },
      c === "live"
        ? h("circle", { cx: 8, cy: 8, r: 6, fill: "currentColor" })
        : h("path", { "d": "M3 3l10 10M13 3L3 13", "stroke": "currentColor", "stroke-width": 3 }),
    ),
    t("connection." + c),
  );
  stale.replaceChildren(
    ...(c === "lost"
      ? [t("stale.text") + " ", time(new Date(silentSince()).toISOString())]
      : c === "closed"
        ? [t("closed.text")]
        : []),
  );
}
function showShell() {
  document.querySelector(".skip").textContent = t("skip");
  nav.setAttribute("aria-label", t("nav"));
  nav.replaceChildren(
    ...[
      ["fleet", "/agents/k6"],
      ["sites", "/agents/k6/sites"],
      ["runs", "/agents/k6/runs"],
    ].map(([s, href]) => h("a", { href, "data-section": s }, t("nav." + s))),
  );
  const choice = h(
    "select",
    {
      "aria-label": t("language"),
      "onchange": () => {
        setLanguage(choice.value);
        showShell();
        show(false);
      },
    },
    languages.map(l => h("option", { value: l }, l === "en" ? "English" : "Português")),
  );
  choice.value = language();
  tools.replaceChildren(
    state,
    choice,
    credentials()
      ? h("button", { type: "button", onclick: () => setCredentials(null) }, t("signout"))
      : h("button", { type: "button", onclick: () => signIn(null) }, t("signin")),
  );
  showSection();
  showConnection();
}
setSignIn(signIn);
onConnection(showConnection);
onCredentials(() => {
  showShell();
  if (connection() === "closed") show(false);
});
showShell();
show(false);
start();
