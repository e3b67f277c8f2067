// What an owner does with an account: a key, policies, a pause, a form of another tab, taking everything away and
// closing it.
import { readFileSync } from "node:fs";

/** Walks with somebody who has a test account and a live one. `tools` are the walk's own. */
export async function walkAccount(page, email, tools) {
  const { base_url, expect, visit, picture, words } = tools;
  await page.goto(`${base_url}/settings/apikeys`);
  await page.getByLabel("Name").fill("nightly job");
  await page.getByRole("button", { name: "Make the key" }).click();
  await picture(page, "key-made");
  await page.getByRole("link", { name: "I have copied it" }).click();
  await page.getByRole("link", { name: /Restrict/ }).click();
  await picture(page, "policy");
  await page.getByLabel("Only those ticked here").check();
  await page.locator('input[value="google/nano-banana"]').check();
  await page.locator('input[value="V4"]').check();
  await page.getByLabel(/Highest price/).fill("40");
  await page.getByRole("button", { name: "Save" }).click();
  expect(/google\/nano-banana, V4, at most 40 credits/.test(await words(page)), "the key's policy is on its page");
  await picture(page, "keys-restricted");
  await page.getByRole("link", { name: /what nightly job may ask for/ }).click();
  await picture(page, "policy-set");

  await page.goto(`${base_url}/settings/account`);
  await page.getByRole("button", { name: "Pause this account" }).click();
  await picture(page, "account-paused");
  await page.getByRole("button", { name: "Resume this account" }).click();

  // In another tab the owner goes over to the other account.
  const tab = await page.context().newPage();
  await tab.goto(`${base_url}/`);
  const options = await tab.getByLabel("Account").locator("option").allInnerTexts();
  await tab.getByLabel("Account").selectOption({ label: options.find((text) => text.startsWith("live")) });
  await tab.getByRole("button", { name: "Show" }).click();
  await tab.locator("header .tag", { hasText: "live" }).waitFor();
  await tab.close();
  await page.getByRole("button", { name: "Pause this account" }).click();
  expect((await words(page)).includes("Nothing was changed."), "a form of the other account is refused");
  await picture(page, "other-account");
  await page.getByRole("button", { name: `Show ${email} (test)` }).click();
  expect((await page.locator("header .tag").innerText()) === "test", "one click goes over to that account");

  await visit(page, "/settings/account/export", "export");
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Download it" }).click(),
  ]);
  const archive = readFileSync(await download.path());
  expect(/^rynjer-test-\d{4}-\d\d-\d\d\.tar$/.test(download.suggestedFilename()), "the archive has a name");
  expect(archive.subarray(0, 12).toString() === "account.json" && archive.length % 512 === 0, "and is a whole tar");

  await visit(page, "/settings/account/close", "close");
  await page.getByLabel(/e-mail, to be sure/).fill(email);
  await page.getByRole("button", { name: "Close this account for good" }).click();
  expect((await words(page)).includes("closed for good"), "the account is closed");
  await picture(page, "account-closed");
}
