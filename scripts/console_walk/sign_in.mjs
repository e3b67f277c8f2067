// What a new owner does about signing in: a second step with its recovery codes, and a forgotten password.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";

/** The six digits that an app shows now for a key. */
function code(key) {
  let bits = "";
  for (const letter of key.replace(/\s|=/g, "")) {
    bits += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0");
  }
  const secret = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const hash = createHmac("sha1", secret).update(step).digest();
  const number = hash.readUInt32BE(hash[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

/** The link of a letter that is on its way. */
async function link(file) {
  for (let tries = 0; tries < 100; tries += 1) {
    let text = "";
    try {
      text = readFileSync(file, "utf8");
    } catch {
      // No letter has come yet.
    }
    const found = text.replace(/=\n/g, "").replace(/=3D/g, "=").match(/http\S*\/reset\?ticket=\S+/);
    if (found) return found[0];
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("no letter came");
}

/** Walks with somebody who is signed in with `password`; gives the new password. `tools` are the walk's own. */
export async function walkSignIn(page, email, password, tools) {
  const { base_url, expect, visit, picture, words } = tools;
  const newPassword = `${password} and the moon`;
  await page.goto(`${base_url}/settings/security`);
  await page.getByRole("button", { name: "Set it up" }).click();
  await picture(page, "second-step");
  await page.getByLabel("Code", { exact: true }).fill(code(await page.locator("main code.secret").innerText()));
  await page.getByRole("button", { name: "Turn it on" }).click();
  const recovery = await page.locator("main .codes li").allInnerTexts();
  expect(recovery.length === 10, "ten recovery codes are shown");
  await picture(page, "recovery-codes");
  await visit(page, "/settings/security", "security-second-step");

  await page.getByRole("button", { name: /Sign out/ }).first().click();
  await page.goto(`${base_url}/login`);
  await page.getByRole("link", { name: /Forgotten/ }).click();
  await picture(page, "forgot");
  await page.getByLabel("E-mail").fill(email);
  await page.getByRole("button", { name: "Send me a link" }).click();
  await picture(page, "forgot-sent");
  const reset = await link(process.env.LETTERS);
  await page.goto(reset);
  await picture(page, "reset");
  await page.getByLabel("New password").fill(newPassword);
  await page.getByRole("button", { name: "Set the password" }).click();
  await picture(page, "login-after-reset");
  const expired = await page.goto(reset);
  expect(expired.status() === 404, "the link of a letter works once");
  await picture(page, "link-expired");

  await page.goto(`${base_url}/login`);
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(newPassword);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  expect(page.url().startsWith(`${base_url}/login/code`), "the second step is asked for");
  await picture(page, "login-code");
  await page.getByLabel("Code").fill(recovery[0]);
  await page.getByRole("button", { name: "Go on" }).click();
  expect(page.url() === `${base_url}/`, "a recovery code signs in once");
  await page.goto(`${base_url}/settings/security`);
  expect(/9 recovery codes are left/.test(await words(page)), "and is spent then");
  return newPassword;
}
