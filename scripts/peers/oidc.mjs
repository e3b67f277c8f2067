// Sign-in by oidc-provider, a certified provider of others.
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import Provider from 'oidc-provider';

const program = process.argv[2];
const folder = mkdtempSync(join(tmpdir(), 'rynjer-oidc-'));

// A browser that keeps cookies for each origin, and follows redirects one by one.
class Browser {
  cookies = {};
  async fetch(url, form) {
    const { origin } = new URL(url);
    const jar = (this.cookies[origin] ??= {});
    const headers = { cookie: Object.entries(jar).map(([name, value]) => `${name}=${value}`).join('; ') };
    const options = { headers, redirect: 'manual' };
    if (form) Object.assign(options, { method: 'POST', body: new URLSearchParams(form) });
    const answer = await fetch(url, options);
    for (const cookie of answer.headers.getSetCookie()) {
      const [name, ...value] = cookie.split(';')[0].split('=');
      jar[name] = value.join('=');
      if (!jar[name]) delete jar[name];
    }
    return answer;
  }
  async follow(url, login) {
    let answer = await this.fetch(url);
    for (let step = 0; step < 20; step += 1) {
      const to = answer.headers.get('location');
      if (to) {
        url = new URL(to, url).href;
        answer = await this.fetch(url);
      } else if (url.includes('/interaction/')) {
        const page = await answer.text();
        const action = page.match(/action="([^"]+)"/)[1];
        const prompt = page.match(/name="prompt" value="([^"]+)"/)[1];
        answer = await this.fetch(new URL(action, url).href, { prompt, login, password: 'any' });
      } else {
        return { url, status: answer.status, text: await answer.text() };
      }
    }
    throw new Error(`too many steps, last at ${url}`);
  }
}

let provider;
const idp = createServer((request, response) => provider.callback()(request, response));
await new Promise((done) => idp.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${idp.address().port}`;

// The gateway's port must be known to the provider, so it is looked for first.
const probe = createServer();
await new Promise((done) => probe.listen(0, '127.0.0.1', done));
const { port } = probe.address();
await new Promise((done) => probe.close(done));
const base = `http://127.0.0.1:${port}`;
provider = new Provider(issuer, {
  clients: [{ client_id: 'gateway', client_secret: 'client-s3cret', redirect_uris: [`${base}/login/oidc/callback`] }],
  claims: { email: ['email', 'email_verified'] },
  pkce: { required: () => true },
  cookies: { keys: ['a key of a test'] },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true }),
  }),
});

const gateway = spawn(program, ['serve', '--data-dir', folder, '--listen', `127.0.0.1:${port}`], {
  env: {
    ...process.env,
    RYNJER_OIDC__ISSUER: issuer, RYNJER_OIDC__CLIENT_ID: 'gateway', RYNJER_OIDC__NAME: 'Example ID',
    RYNJER_OIDC_CLIENT_SECRET: 'client-s3cret',
  },
  stdio: ['ignore', 'ignore', 'inherit'],
});
try {
  for (let tries = 0; ; tries += 1) {
    const alive = await fetch(`${base}/readyz`).catch(() => null);
    if (alive?.ok) break;
    assert(tries < 200, 'the gateway did not start');
    await new Promise((done) => setTimeout(done, 50));
  }
  execFileSync(program, ['admin', 'user', 'invite', 'ada@example.com', '--data-dir', folder], { stdio: 'ignore' });
  const stranger = await new Browser().follow(`${base}/login/oidc`, 'mallory');
  assert.equal(stranger.status, 400, stranger.text);
  assert.match(stranger.text, /Nobody invited that identity here/);
  for (const round of [1, 2]) {
    const signedIn = await new Browser().follow(`${base}/login/oidc?next=/settings/security`, 'ada');
    assert.equal(signedIn.status, 200, `${round}: ${signedIn.text}`);
    assert.equal(signedIn.url, `${base}/settings/security`);
    assert.match(signedIn.text, /ada@example\.com/);
  }
  console.log('oidc: an invited person came in by oidc-provider twice, a stranger did not');
} finally {
  gateway.kill();
  await new Promise((done) => gateway.on('exit', done));
  idp.close();
  idp.closeAllConnections();
  rmSync(folder, { recursive: true });
}
