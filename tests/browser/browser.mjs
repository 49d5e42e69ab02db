// SPDX-License-Identifier: MIT
// A browser under watch: a message on the console, a request to another origin and a shift of the layout are errors.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const base = process.env.DASH;
export const [user, password] = (process.env.ADMIN_BASIC_AUTH || ":").split(":");

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
}

/** allowed: texts of console messages that belong to what is tested. */
export async function openPage(
  browser,
  { width = 1440, height = 900, scheme = "light", locale = "en-US", allowed = [] } = {},
) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    locale,
    reducedMotion: "reduce",
  });
  const page = await context.newPage(),
    complaints = [];
  page.on("console", m => {
    if (!allowed.some(a => m.text().includes(a))) complaints.push("console: " + m.text());
  });
  page.on("pageerror", e => complaints.push("error: " + e.message));
  page.on("dialog", d => {
    complaints.push("dialog: " + d.message());
    d.dismiss();
  });
  page.on("request", r => {
    if (!r.url().startsWith(base) && !/^(blob|data):/.test(r.url())) complaints.push("request: " + r.url());
  });
  await page.addInitScript(() => {
    globalThis.__shift = 0;
    globalThis.__moved = [];
    new PerformanceObserver(list => {
      for (const e of list.getEntries())
        if (!e.hadRecentInput) {
          globalThis.__shift += e.value;
          globalThis.__moved.push(...e.sources.map(s => s.node?.outerHTML?.slice(0, 90) ?? s.node?.textContent));
        }
    }).observe({ type: "layout-shift", buffered: true });
  });
  return {
    page,
    context,
    complaints,
    done: async () => {
      check(!complaints.length, complaints.join("\n"));
      await context.close();
    },
  };
}

export async function audit(page, what) {
  // The browser's protocol inserts axe, because the page's policy allows only its own scripts.
  await page.evaluate(axe);
  const result = await page.evaluate(() =>
    globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  check(
    !result.violations.length,
    what +
      ": " +
      result.violations
        .map(
          v =>
            `${v.id}: ${v.help}: ${v.nodes
              .slice(0, 3)
              .map(n => n.html.slice(0, 160) + " " + (n.any[0]?.message || ""))
              .join(" | ")}`,
        )
        .join("\n"),
  );
}

/** Presses Tab until the focus is on something with this accessible name (or matching it). */
export async function tabTo(page, name, most = 200) {
  for (let i = 0; i < most; i++) {
    await page.keyboard.press("Tab");
    const found = await page.evaluate(() => {
      const e = document.activeElement;
      return (e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent || "").trim();
    });
    if (typeof name === "string" ? found === name : name.test(found)) return;
  }
  throw new Error(`the keyboard does not reach ${name}`);
}
