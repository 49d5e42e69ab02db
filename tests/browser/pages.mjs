// SPDX-License-Identifier: MIT
// pages.mjs FLOW: runs one flow through the web pages of the dashboard at $DASH, as a user does in a browser.
import { base, user, password, check, launch, openPage, audit, tabTo } from "./browser.mjs";

const shots = process.env.SHOTS;
const admin = { "Authorization": "Basic " + btoa(user + ":" + password), "Content-Type": "application/json" };
async function api(method, path, body) {
  const answer = await fetch(base + path, { method, headers: admin, body: body && JSON.stringify(body) });
  check(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.status === 204 ? null : answer.json();
}
async function signIn(page) {
  await page.getByLabel("User").waitFor();
  await page.keyboard.type(user);
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
}
async function somePages() {
  const runs = await api("GET", "/api/dashboard/k6/runs?pageSize=1&status=success"),
    targets = await api("GET", "/api/dashboard/k6/targets");
  check(runs.items.length && targets.items.length, "there is nothing to show");
  return [
    "/agents/k6",
    "/agents/k6/sites",
    "/agents/k6/sites/" + targets.items[0].id + "?span=1h&compare=1",
    "/agents/k6/runs",
    "/agents/k6/runs/" + runs.items[0].id,
  ];
}

const flows = {
  // Every page, at each width, in both schemes and languages, fits, does not shift, logs nothing, and passes axe.
  async views(browser) {
    const paths = await somePages();
    for (const [i, width] of [360, 768, 1440, 2560].entries()) {
      for (const scheme of ["light", "dark"]) {
        const locale = (i + (scheme === "dark")) % 2 ? "pt-BR" : "en-US";
        const { page, done } = await openPage(browser, { width, scheme, locale });
        for (const [n, path] of paths.entries()) {
          await page.goto(base + path);
          await page.locator("h1").waitFor();
          await page.getByText(locale === "pt-BR" ? "Ao vivo" : "Live", { exact: true }).waitFor();
          await page.waitForTimeout(700);
          const what = `${path} at ${width} px, ${scheme}, ${locale}`;
          check(
            (await page.evaluate(() => document.documentElement.lang)) === (locale === "pt-BR" ? "pt-BR" : "en"),
            "language: " + what,
          );
          check(
            await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
            "wider than the screen: " + what,
          );
          if (n === 0 || n === 2)
            check((await page.locator(".chart canvas").count()) === 3, "the charts are missing: " + what);
          const shift = await page.evaluate(() => globalThis.__shift);
          check(
            shift <= 0.05,
            `moves about by ${shift}: ${what}: ${await page.evaluate(() => globalThis.__moved.join("; "))}`,
          );
          if (shots) await page.screenshot({ path: `${shots}/${n}-${width}-${scheme}.png`, fullPage: true });
          await audit(page, what);
        }
        await done();
      }
    }
  },
  // A target is added, refused with a message at its field, edited, disabled, run, found and deleted, by keyboard.
  async targets(browser) {
    const { page, done } = await openPage(browser, { allowed: ["422", "401"] });
    await page.goto(base + "/agents/k6/sites");
    await page.getByRole("table").waitFor();
    await tabTo(page, "Add");
    await page.keyboard.press("Enter");
    await page.getByRole("textbox", { name: "URL", exact: true }).waitFor();
    await page.keyboard.type(process.env.SERVER + "/keyboard");
    await tabTo(page, "Label");
    await page.keyboard.type("By keyboard");
    await tabTo(page, "VUs");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("0");
    await page.keyboard.press("Enter");
    await signIn(page);
    await page.getByText(/vus must be 1\.\.10000/).waitFor();
    check(
      (await page.getByLabel("VUs", { exact: true }).getAttribute("aria-invalid")) === "true" &&
        (await page.getByRole("textbox", { name: "Label", exact: true }).inputValue()) === "By keyboard",
      "what was typed is lost",
    );
    await audit(page, "form with an error");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("1");
    await tabTo(page, "Duration (s)");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("1");
    await page.keyboard.press("Enter");
    const row = page.getByRole("row").filter({ hasText: "By keyboard" });
    await row.waitFor();
    await tabTo(page, "Edit By keyboard");
    await page.keyboard.press("Enter");
    await page.getByRole("textbox", { name: "Label", exact: true }).waitFor();
    await tabTo(page, /^More/);
    await page.keyboard.press("Enter");
    await tabTo(page, /^Tags/);
    await page.keyboard.type("team=web");
    await tabTo(page, "Save");
    await page.keyboard.press("Enter");
    await row.getByText("team=web").waitFor();
    await tabTo(page, "Run By keyboard now");
    await page.keyboard.press("Enter");
    await page.getByLabel("All at the same instant").waitFor();
    await page.keyboard.press("Enter");
    await row.locator(".strip .success").first().waitFor({ timeout: 30000 });
    await tabTo(page, "By keyboard enabled");
    await page.keyboard.press("Space");
    await page.waitForFunction(
      async () =>
        (await (await fetch("/api/dashboard/k6/targets")).json()).items.find(x => x.label === "By keyboard")
          ?.enabled === false,
    );
    await tabTo(page, "Search");
    await page.keyboard.type("nothing like it");
    await page.getByText(/^0 of/).waitFor();
    await page.keyboard.press("Control+A");
    await page.keyboard.type("by keyboard");
    await page.getByText(/^1 of/).waitFor();
    await tabTo(page, "Delete By keyboard");
    await page.keyboard.press("Enter");
    await page.getByLabel(/^Type/).waitFor();
    await page.keyboard.type("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("That is not “By keyboard”.").waitFor();
    await page.keyboard.press("Control+A");
    await page.keyboard.type("By keyboard");
    await page.keyboard.press("Enter");
    await row.waitFor({ state: "detached" });
    await done();
  },
  // The fleet is scaled by preset and slider, with undo; the kill switch is used and undone; one agent is opened.
  async fleet(browser) {
    const { page, done } = await openPage(browser, { allowed: ["401"] });
    await page.goto(base + "/agents/k6");
    await page.getByText(/All \d+ agents are up/).waitFor();
    const before = await page.getByLabel("Agents", { exact: true }).first().inputValue();
    await tabTo(page, "5");
    await page.keyboard.press("Enter");
    await tabTo(page, "k6 scale");
    await page.keyboard.press("ArrowLeft");
    await tabTo(page, "Scale");
    await page.keyboard.press("Enter");
    await signIn(page);
    await page.getByText("All 4 agents are up.").waitFor({ timeout: 20000 });
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText(`All ${before} agents are up.`).waitFor({ timeout: 20000 });
    await page
      .getByRole("button", { name: /k6agent-0.*:/ })
      .first()
      .focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "k6agent-1" }).waitFor();
    await page.getByText("Last results").waitFor();
    await audit(page, "an agent");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Stop all load" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Stop all load" }).click();
    await page.getByText("All load is stopped. No test starts until it is resumed.").waitFor();
    await audit(page, "all load stopped");
    await page.getByRole("button", { name: "Resume load" }).click();
    await page.getByRole("button", { name: "Stop all load" }).waitFor();
    await page.getByRole("button", { name: "Reconcile" }).click();
    await page.getByText("Counts are spread anew").waitFor();
    await done();
  },
  // New runs appear on top by themselves; the address contains the filters; CSV of the filter; a run is run again.
  async runs(browser) {
    const { page, done } = await openPage(browser, { allowed: ["401"] });
    await page.goto(base + "/agents/k6/runs");
    await page.locator("tbody tr").first().waitFor();
    const first = await page.locator("tbody tr").first().getAttribute("data-id");
    await page.waitForFunction(id => document.querySelector("tbody tr").dataset.id !== id, first, { timeout: 30000 });
    // The address changes before the old rows have gone, so the test waits for the rows of the response.
    const filtered = page.waitForResponse(r => /k6\/runs\?.*status=success/.test(r.url()));
    await page.getByLabel("Status").selectOption("success");
    await page.waitForURL(/status=success/);
    await filtered;
    await page.locator("tbody tr").first().waitFor();
    const rows = await page.locator("tbody tr").allTextContents();
    check(rows.length && rows.every(r => r.includes("Success")), "the filter shows others: " + rows);
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download CSV" }).click();
    check((await download).suggestedFilename() === "runs.csv", "no CSV");
    await page.locator("tbody tr a").first().click();
    await page.getByText("Latency by percentile").waitFor();
    await page.getByRole("img", { name: /^p50/ }).waitFor();
    await page.getByRole("button", { name: "Run again" }).click();
    await signIn(page);
    await page.getByText(/The order is given/).waitFor();
    await page.goBack();
    await page.waitForURL(/status=success/);
    await done();
  },
  // The dashboard goes away and comes back: old data is marked as old, then the page goes on without a reload.
  async restart(browser) {
    const { page, context } = await openPage(browser);
    await page.goto(base + "/agents/k6");
    await page.getByText("Live", { exact: true }).waitFor();
    await page.evaluate(() => {
      globalThis.__same = true;
    });
    console.log("# stop");
    await page.getByText(/The connection is lost; what you see is from/).waitFor({ timeout: 20000 });
    await audit(page, "connection lost");
    console.log("# start");
    await page.getByText("Live", { exact: true }).waitFor({ timeout: 30000 });
    check(await page.evaluate(() => globalThis.__same), "the page was loaded anew");
    await context.close();
  },
  // Stored text is shown as text, also if it looks like HTML.
  async inert(browser) {
    const evil =
      '<img src=x onerror="globalThis.__pwned=1"><script>globalThis.__pwned=1</script>\'"&{{7*7}}javascript:alert(1)';
    const target = await api("POST", "/api/admin/k6/targets", {
      url: "http://127.0.0.1:9/" + encodeURIComponent(evil),
      label: evil.slice(0, 120),
      enabled: false,
      tags: { "<b>": "<i>x" },
    });
    const agentHeaders = {
      "Authorization": "Bearer " + process.env.DASHBOARD_SECRET,
      "Content-Type": "application/json",
    };
    const host = "<svg onload=globalThis.__pwned=1>";
    const run = {
      id: "0190-evil",
      agent: evil.slice(0, 100),
      host,
      targetId: target.id,
      targetLabel: evil.slice(0, 120),
      status: "error",
      reason: "script_error",
      startedAt: new Date().toISOString(),
      errorMessage: evil,
      log: evil,
      thresholds: [{ metric: evil, expression: evil, ok: false }],
      metrics: { error_rate: 1 },
    };
    for (const [path, body] of [
      [
        "/api/k6/agents/register",
        { name: evil.slice(0, 100), host, version: evil.slice(0, 60), k6Version: evil.slice(0, 60) },
      ],
      ["/api/k6/runs", run],
    ]) {
      const answer = await fetch(base + path, { method: "POST", headers: agentHeaders, body: JSON.stringify(body) });
      check(answer.ok, path + ": " + (await answer.text()));
    }
    const { page, done } = await openPage(browser);
    for (const path of [
      "/agents/k6",
      "/agents/k6/sites",
      "/agents/k6/sites/" + target.id,
      "/agents/k6/runs?q=<script>",
      "/agents/k6/runs/0190-evil",
    ]) {
      await page.goto(base + path);
      await page.locator("h1").waitFor();
      await page.waitForTimeout(800);
      check(
        await page.evaluate(() => !globalThis.__pwned && !document.querySelector("main img, main script")),
        "not inert: " + path,
      );
    }
    await page.getByText("onerror").first().waitFor();
    await done();
  },
  // Reading requires credentials: the form appears once, then all data is there.
  async closed(browser) {
    const { page, done } = await openPage(browser, { allowed: ["401"] });
    await page.goto(base + "/agents/k6/runs?status=success");
    await signIn(page);
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByText(/runs, page 1 of/).waitFor();
    check(page.url().includes("status=success"), "the view is lost");
    await done();
  },
  // A build without the charts' library shows tables.
  async plain(browser) {
    const { page, done } = await openPage(browser);
    for (const path of (await somePages()).slice(0, 3)) {
      await page.goto(base + path);
      if (path === "/agents/k6/sites") continue;
      await page.locator(".chart-fallback").nth(2).waitFor();
      check((await page.locator("canvas").count()) === 0, "a chart without its library");
      await audit(page, path);
    }
    await done();
  },
  // An empty dashboard says what to do first.
  async empty(browser) {
    const { page, done } = await openPage(browser);
    await page.goto(base + "/agents/k6");
    await page.getByText("No agents yet").waitFor();
    await audit(page, "no agents");
    await page.goto(base + "/agents/k6/sites");
    await page.getByText("No targets yet").waitFor();
    await audit(page, "no targets");
    await page.goto(base + "/agents/k6/runs");
    await page.getByText("No runs yet.").first().waitFor();
    await audit(page, "no runs");
    await done();
  },
};

const browser = await launch();
try {
  await flows[process.argv[2]](browser);
} catch (e) {
  console.log(e.message);
  process.exitCode = 1;
} finally {
  await browser.close();
}
