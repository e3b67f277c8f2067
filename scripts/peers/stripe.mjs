// Buys credits at a real gateway process and tells it what became of the payment, in the words and with the signatures of
// Stripe's own library. Ends with one line, or with the first thing that is wrong.
//
//   node stripe.mjs RYNJER STAND-IN
//
// All of it talks to 127.0.0.1 alone, and only processes that were started here are ended here.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import Stripe from "stripe";

const [rynjer, standIn] = process.argv.slice(2);
const KEY = "sk_test_peers";
const SECRETS = ["whsec_rolled", "whsec_new"];
const EMAIL = "buyer@example.com";
const PASSWORD = "correct horse battery";
const READY_MS = 20_000;
// What the gateway names in its calls; the library is the one of that version.
const API_VERSION = "2026-10-28.endive";

const folder = mkdtempSync(join(tmpdir(), "stripe-sdk-"));
const started = [];
let checks = 0;

function check(actual, expected, what) {
  assert.deepEqual(actual, expected, what);
  checks += 1;
}

function start(program, words, env = {}) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("RYNJER_"));
  const child = spawn(program, words, { env: { ...Object.fromEntries(kept), ...env }, stdio: ["ignore", "pipe", "pipe"] });
  started.push(child);
  return child;
}

// The first line of a process that matches; what it says later is read and dropped.
function line(child, streams, pattern) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${child.spawnfile} did not say ${pattern}`)), READY_MS);
    child.once("exit", (code) => reject(new Error(`${child.spawnfile} ended with ${code}`)));
    for (const stream of streams) {
      createInterface({ input: child[stream] }).on("line", (text) => {
        const found = text.match(pattern);
        if (found) {
          clearTimeout(late);
          resolve(found[1]);
        }
      });
    }
  });
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

function admin(...words) {
  const place = ["--data-dir", folder, "--json"];
  return JSON.parse(execFileSync(rynjer, ["admin", ...words, ...place], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }));
}

// A browser without a screen: one cookie, and the hidden fields of forms.
class Browser {
  constructor(base) {
    this.base = base;
    this.cookie = "";
  }

  async send(path, fields) {
    const headers = { cookie: this.cookie };
    const form = fields && { method: "POST", body: new URLSearchParams(fields) };
    if (form) headers["sec-fetch-site"] = "same-origin";
    const answer = await fetch(new URL(path, this.base), { ...form, headers, redirect: "manual" });
    const cookie = answer.headers.get("set-cookie");
    if (cookie) this.cookie = cookie.split(";")[0];
    return { status: answer.status, location: answer.headers.get("location"), html: await answer.text() };
  }

  async csrf() {
    return (await this.send("/")).html.match(/name="csrf" value="([^"]+)"/)[1];
  }
}

async function main() {
  const url = await line(start(standIn, [KEY]), ["stdout"], /^(http:\S+)$/);
  const port = await freePort();
  const gateway = start(rynjer, ["serve", "--data-dir", folder, "--listen", `127.0.0.1:${port}`, "--metrics-listen", "off"], {
    RYNJER_STRIPE_SECRET_KEY: KEY,
    RYNJER_STRIPE_WEBHOOK_SECRET: SECRETS.join(","),
    RYNJER_STRIPE__BASE_URL: url,
    RYNJER_STRIPE__CHECKOUT_ORIGIN: url,
    RYNJER_STRIPE__PACKS: "1000=999",
    RYNJER_STRIPE__ALLOW_TEST_PAYMENTS: "true",
  });
  const link = await line(gateway, ["stdout", "stderr"], /(http:\/\/\S+\/setup\?\S+)/);
  // The first one to be set up takes the accounts of their address.
  const account = admin("account", "create", "--email", EMAIL, "--live").account_id;
  const base = new URL(link).origin;
  const browser = new Browser(base);
  const ticket = new URL(link).searchParams.get("ticket");
  check((await browser.send("/setup", { ticket, email: EMAIL, password: PASSWORD })).status, 303, "set-up");
  check((await browser.send("/account", { csrf: await browser.csrf(), account })).status, 303, "the live account");
  const bought = await browser.send("/topup", { csrf: await browser.csrf(), account, pack: "1000=999" });
  check([bought.status, bought.location.startsWith(`${url}/c/pay/`)], [303, true], "sent on to pay");

  // Stripe's own library reads what the stand-in answers.
  const { hostname, port: standInPort } = new URL(url);
  const stripe = new Stripe(KEY, { host: hostname, port: standInPort, protocol: "http", maxNetworkRetries: 0 });
  check(stripe.getApiField("version"), API_VERSION, "the version of the API");
  const id = bought.location.split("/").pop();
  const open = await stripe.checkout.sessions.retrieve(id);
  check([open.id, open.status, open.amount_total, open.currency], [id, "open", 999, "usd"], "an open page");
  check(open.metadata.account_id, account, "metadata");
  await fetch(bought.location, { method: "POST", redirect: "manual" });
  const paid = await stripe.checkout.sessions.retrieve(id);
  check([paid.status, paid.payment_status], ["complete", "paid"], "a paid page");
  const [found] = (await stripe.checkout.sessions.list({ payment_intent: paid.payment_intent, limit: 1 })).data;
  check(found.id, id, "found by its payment");
  const told = await stripe.events.list({ types: ["checkout.session.completed", "refund.created"], created: { gte: 1 } });
  check(told.data.map((one) => one.type), [], "nobody was told: the stand-in has no hook here");
  check((await stripe.refunds.list({ payment_intent: paid.payment_intent })).data, [], "no refunds");
  await assert.rejects(stripe.checkout.sessions.create({ mode: "payment" }), Stripe.errors.StripeInvalidRequestError);

  const now = () => Math.floor(Date.now() / 1000);
  const header = (payload, secret, timestamp = now()) =>
    stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });
  const tell = async (payload, signature) => {
    const headers = { "content-type": "application/json", "stripe-signature": signature };
    return (await fetch(`${base}/callbacks/stripe`, { method: "POST", headers, body: payload })).status;
  };
  const available = () => admin("account", "show", account).available;
  const event = (eventId, type, object) =>
    JSON.stringify({ id: eventId, object: "event", type, livemode: false, created: now(), api_version: API_VERSION,
      data: { object } }, null, 2);

  const completed = event("evt_1", "checkout.session.completed", paid);
  for (const [what, payload, signature] of [
    ["another secret", completed, header(completed, "whsec_guess")],
    ["an old one", completed, header(completed, SECRETS[0], now() - 310)],
    ["one of the future", completed, header(completed, SECRETS[0], now() + 310)],
    ["other bytes", completed.replace("999", "998"), header(completed, SECRETS[0])],
    ["the same JSON with other blanks", JSON.stringify(JSON.parse(completed)), header(completed, SECRETS[0])],
  ]) {
    check([await tell(payload, signature), available()], [400, 0], what);
  }
  for (const secret of [...SECRETS, ...SECRETS]) {
    // The library itself believes what the gateway is asked to believe.
    stripe.webhooks.constructEvent(completed, header(completed, secret), secret);
    check([await tell(completed, header(completed, secret)), available()], [200, 1000], "paid once");
  }
  const again = event("evt_2", "checkout.session.async_payment_succeeded", paid);
  check([await tell(again, header(again, SECRETS[1])), available()], [200, 1000], "another event of the same");
  const part = { id: "re_peers_1", object: "refund", amount: 333, currency: "usd", status: "succeeded",
    payment_intent: paid.payment_intent, charge: "ch_1", metadata: {} };
  for (const [eventId, object, left] of [
    ["evt_3", part, 667],
    ["evt_4", part, 667],
    ["evt_5", { ...part, id: "re_peers_2", amount: 666 }, 0],
    ["evt_6", { ...part, id: "re_peers_2", amount: 666, status: "failed" }, 667],
  ]) {
    const payload = event(eventId, "refund.updated", object);
    check([await tell(payload, header(payload, SECRETS[1])), available()], [200, left], eventId);
  }
  check(admin("audit").ok, true, "the ledger");
  console.log(`stripe ${Stripe.PACKAGE_VERSION}, API ${API_VERSION}: ${checks} checks passed`);
}

try {
  await main();
} finally {
  const ended = started.filter((child) => child.exitCode === null).map((child) => new Promise((end) => child.once("exit", end)));
  for (const child of started) child.kill("SIGTERM");
  await Promise.all(ended);
  rmSync(folder, { recursive: true, force: true });
}
