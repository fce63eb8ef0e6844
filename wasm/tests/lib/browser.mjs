// Chromium with the page in it; every request is written down.
import { existsSync } from "node:fs";

import { chromium } from "playwright-core";

import { serve } from "../../tools/serve.mjs";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";

/**
 * @param {import("node:test").TestContext} t closes everything at its end
 * @param {{root?: URL}} options a directory to serve instead of the page, and options of the browser's context
 */
export async function openPage(t, { root, ...options } = {}) {
  if (!existsSync(executablePath)) throw new Error(`${executablePath} is not there: install chromium, or name it in CHROMIUM`);
  const server = await serve(0, root);
  const origin = `http://127.0.0.1:${server.address().port}`;
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  t.after(async () => {
    await browser.close();
    server.closeAllConnections();
    server.close();
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const requests = [];
  // Also those of workers and of the service worker.
  context.on("request", (request) => requests.push(request.url()));
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(`${origin}/`);
  return { page, context, origin, requests, problems, server };
}

/** Waits until the page shows its result, or throws what it says instead. */
export async function finished(page) {
  await page.locator("#table tbody tr, #error:not([hidden]), #notes li.bad").first().waitFor({ timeout: 60_000 });
  await page.locator("#status").waitFor({ state: "hidden", timeout: 60_000 });
  if (await page.locator("#error").isVisible()) throw new Error(await page.locator("#error").textContent());
}
