// A new owner in a real browser: signs up, tops up, binds an agent that a script registers, watches it generate, sees
// the picture and the charge, and revokes it. Another one sets a second step up, forgets the password, restricts a key,
// takes everything away and closes the account. Every page on the way is looked at.
//
//   LETTERS=FILE node walk.mjs READY_JSON [PICTURES]     FILE gets the letters that the gateway sends
import { chromium } from "playwright-core";
import { walkAccount } from "./account.mjs";
import { Agent } from "./agent.mjs";
import { look } from "./look.mjs";
import { walkSignIn } from "./sign_in.mjs";

const { setup_url, base_url } = JSON.parse(process.argv[2]);
const pictures = process.argv[3];
const PASSWORD = "a calm river under stars";
const problems = [];

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

/** A person with a browser of their own, whose console must stay silent. */
async function person(name) {
  const page = await (await browser.newContext()).newPage();
  page.on("console", (message) => {
    // A refusal that a step expects is no fault of the page.
    const refused = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !refused) problems.push(`${name}: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`${name}: ${error}`));
  return page;
}

function expect(truth, sentence) {
  if (!truth) throw new Error(sentence);
  console.log(`  ${sentence}`);
}

const open = (page, path) => page.goto(base_url + path);
const words = (page) => page.locator("main").innerText();
const visit = async (page, path, name) => {
  const answer = await open(page, path);
  expect(answer.status() === 200, `${path} is there`);
  problems.push(...(await look(page, name, pictures)));
};

const operator = await person("operator");
await operator.goto(setup_url);
problems.push(...(await look(operator, "setup", pictures)));
await operator.getByLabel("E-mail").fill("operator@example.com");
await operator.getByLabel("Password").fill(PASSWORD);
await operator.getByRole("button", { name: "Make my account" }).click();
expect(operator.url() === `${base_url}/`, "the first one becomes the operator");

const owner = await person("owner");
await open(owner, "/settings/agents");
expect(owner.url().startsWith(`${base_url}/login`), "strangers are sent to sign in");
problems.push(...(await look(owner, "login", pictures)));
await open(owner, "/signup");
await owner.getByLabel("E-mail").fill("ann@example.com");
await owner.getByLabel("Password").fill(PASSWORD);
await owner.getByRole("button", { name: "Make my account" }).click();
expect(owner.url() === `${base_url}/`, "a new owner signs up");
for (const [path, name] of [["/", "empty-dashboard"], ["/gallery", "empty-gallery"], ["/settings/agents", "empty-agents"]]) {
  await visit(owner, path, name);
}

// The live account is the one that is paid for.
await owner.getByLabel("Account").selectOption({ label: "live · ann@example.com" });
await owner.getByRole("button", { name: "Show" }).click();
await visit(owner, "/topup", "topup");
await owner.getByRole("button", { name: "Pay with Stripe" }).click();
await owner.getByRole("button", { name: "Pay", exact: true }).click();
await owner.waitForURL(`${base_url}/**`);
problems.push(...(await look(owner, "topup-paid", pictures)));
await open(owner, "/");
expect(/\b1\s?000\b/.test(await words(owner)), "a top-up of 1,000 credits is there");

const agent = new Agent(base_url, "Poster painter");
const registration = await agent.register();
await open(owner, `/settings/agents/bind?code=${registration.registration_code}`);
problems.push(...(await look(owner, "bind", pictures)));
await owner.getByRole("button", { name: "Look it up" }).click();
expect((await words(owner)).includes("Poster painter"), "the page says whose request it is");
problems.push(...(await look(owner, "consent", pictures)));
await owner.getByLabel(/credits:read/).check();
await owner.getByRole("button", { name: "Yes, bind it" }).click();
await agent.begin(["image", "credits:read"]);
expect(agent.token, "the agent has a key and a token");

const ask = { model: "gpt4o_image", prompt: "A paper boat on a rainy street" };
await agent.generate({ ...ask, request_id: "walk-1" });
await open(owner, "/tasks");
const made = await agent.finished("walk-1");
expect(made.status === "success", "the agent's picture is made");
await owner.locator("main table").getByText(/success|done/i).first().waitFor({ timeout: 10_000 });
expect(true, "the page of tasks shows it without a reload");
problems.push(...(await look(owner, "tasks", pictures)));

await open(owner, "/gallery");
const picture = owner.locator("main img").first();
await picture.scrollIntoViewIfNeeded();
await owner.waitForFunction(() => document.querySelector("main img")?.naturalWidth > 0);
expect(true, "the gallery shows the picture");
problems.push(...(await look(owner, "gallery", pictures)));
await visit(owner, `/tasks/${made.task_id}`, "task");
const lines = await words(owner);
expect(/held/i.test(lines) && /charged/i.test(lines), "the ledger's lines say what was held and charged");

for (const [path, name] of [
  ["/", "dashboard"], ["/settings/agents", "agents"], ["/settings/apikeys", "keys"], ["/settings/budgets", "budgets"],
  ["/usage", "usage"], ["/audit", "audit"], ["/settings/security", "security"], ["/settings/account", "account"],
]) await visit(owner, path, name);
for (const [path, name] of [
  ["/operator/accounts", "operator-accounts"], ["/operator/owners", "operator-people"],
  ["/operator/providers", "operator-providers"], ["/operator/catalog", "operator-catalog"],
  ["/operator/audit", "operator-log"],
]) await visit(operator, path, name);

await open(owner, "/settings/agents");
await owner.getByRole("button", { name: "Pause Poster painter" }).click();
await visit(owner, "/settings/agents", "agents-paused");
await owner.getByRole("button", { name: "Resume Poster painter" }).click();
await owner.getByRole("link", { name: "Poster painter" }).first().click();
problems.push(...(await look(owner, "agent", pictures)));
await owner.getByRole("link", { name: /revoke/i }).first().click();
problems.push(...(await look(owner, "agent-end", pictures)));
await owner.getByRole("button", { name: "Revoke Poster painter for good" }).click();
const revoked = Date.now();
const refused = await agent.call("POST", "/v1/generate", { ...ask, request_id: "walk-2" }, agent.token);
const late = Date.now() - revoked;
expect(refused.status === 401, `the revoked agent's next call is refused (asked ${late} ms after)`);
expect(late < 1000, "within a second");

const pictured = async (page, name) => problems.push(...(await look(page, name, pictures)));
const tools = { base_url, expect, visit, picture: pictured, words };
const second = await person("second owner");
await open(second, "/signup");
await second.getByLabel("E-mail").fill("bea@example.com");
await second.getByLabel("Password").fill(PASSWORD);
await second.getByRole("button", { name: "Make my account" }).click();
await walkSignIn(second, "bea@example.com", PASSWORD, tools);
await walkAccount(second, "bea@example.com", tools);

await browser.close();
if (problems.length > 0) {
  console.error(`${problems.length} problems of the pages:\n${[...new Set(problems)].join("\n")}`);
  process.exit(1);
}
console.log("console walk: an owner did everything, and every page is sound");
process.exit(0);
