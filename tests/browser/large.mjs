// SPDX-License-Identifier: MIT
// large.mjs: measures the longest frame of each page while 1,000 agents send heartbeats and runs of 200 targets arrive.
// It is run by hand (`make bench-pages`), because the figures vary on a shared machine.
import { base, launch, openPage } from "./browser.mjs";

const [user, password] = process.env.ADMIN_BASIC_AUTH.split(":");
const agent = { "Authorization": "Bearer " + process.env.DASHBOARD_SECRET, "Content-Type": "application/json" };
const admin = { "Authorization": "Basic " + btoa(user + ":" + password), "Content-Type": "application/json" };
const post = (path, body, headers = agent) =>
  fetch(base + path, { method: "POST", headers, body: JSON.stringify(body) }).then(r => r.json());
const names = Array.from({ length: 1000 }, (_, i) => ({ name: "k6agent-" + i, slot: i }));
await post("/api/k6/agents/register", { host: "big", managed: true, maxAgents: 1000, agents: names });
const targets = [];
for (let i = 0; i < 200; i++)
  targets.push(await post("/api/admin/k6/targets", { url: "http://127.0.0.1:9/" + i, label: "Target " + i }, admin));
let serial = 0,
  stop = false;
async function beat() {
  while (!stop) {
    await post("/api/k6/agents/heartbeat", {
      host: "big",
      agents: names.map(a => ({ name: a.name, status: Math.random() < 0.3 ? "running" : "idle" })),
    });
    await post("/api/k6/runs", {
      runs: Array.from({ length: 40 }, () => {
        const x = targets[serial % 200];
        return {
          id: "large-" + serial++,
          agent: "k6agent-" + (serial % 1000),
          host: "big",
          targetId: x.id,
          targetLabel: x.label,
          status: "success",
          startedAt: new Date().toISOString(),
          metrics: { p95_ms: Math.random() * 100, error_rate: 0, rps: 1 },
        };
      }),
    });
    await new Promise(r => setTimeout(r, 1000));
  }
}
const beating = beat(),
  browser = await launch();
for (const path of ["/agents/k6", "/agents/k6/sites", "/agents/k6/runs"]) {
  const { page, done } = await openPage(browser);
  const begin = Date.now();
  await page.goto(base + path);
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  await page
    .locator(path === "/agents/k6" ? ".grid button" : "tbody tr")
    .first()
    .waitFor();
  const ready = Date.now() - begin;
  await page.waitForTimeout(1500);
  const frames = await page.evaluate(
    () =>
      new Promise(resolve => {
        let last = performance.now();
        const end = last + 10000;
        let longest = 0;
        let over = 0;
        const f = now => {
          const d = now - last;
          longest = Math.max(longest, d);
          over += d > 100;
          last = now;
          if (now < end) requestAnimationFrame(f);
          else resolve({ longest, over });
        };
        requestAnimationFrame(f);
      }),
  );
  console.log(
    `${path.padEnd(18)} first paint ${paint?.toFixed(0)} ms, filled after ${ready} ms, ` +
      `longest frame ${frames.longest.toFixed(0)} ms, ${frames.over} over 100 ms in 10 s`,
  );
  await done();
}
stop = true;
await beating;
await browser.close();
