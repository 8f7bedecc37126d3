// The demo, started on free ports and always stopped, and ways to its sandbox that bypass the page.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';

const BINARY = process.env.GUEST_CABINET ?? new URL('../../target/debug/guest-cabinet', import.meta.url).pathname;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Starts the demo; `settings` are environment variables over its own. */
export async function startDemo(settings = {}) {
  const [guests, admin, sandbox] = [await freePort(), await freePort(), await freePort()];
  const url = `http://127.0.0.1:${guests}`;
  const env = {
    ...process.env,
    CABINET_LISTEN: `127.0.0.1:${guests}`,
    CABINET_ADMIN_LISTEN: `127.0.0.1:${admin}`,
    CABINET_PUBLIC_URL: url,
    CABINET_AUTH__RESEND_MS: '1000',
    CABINET_CACHE__BALANCE_FRESH_MS: '2000',
    ...settings,
  };
  const server = spawn(BINARY, ['demo', '--sandbox-listen', `127.0.0.1:${sandbox}`], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  server.stdout.on('data', (text) => (log += text));
  server.stderr.on('data', (text) => (log += text));
  const ended = new Promise((done) => server.once('exit', done));
  process.once('exit', () => server.kill('SIGKILL'));
  for (let tries = 0; ; tries += 1) {
    if (
      await fetch(`${url}/demo.json`).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      break;
    if (tries > 200 || server.exitCode !== null) throw new Error(`the demo does not start:\n${log}`);
    await new Promise((done) => setTimeout(done, 100));
  }
  return {
    url,
    control: control(`http://127.0.0.1:${sandbox}/sandbox`),
    codes: () => codes(url),
    code: (challenge) => code(url, challenge),
    stop,
  };

  async function stop() {
    server.kill('SIGTERM');
    const late = setTimeout(() => server.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(late);
  }
}

/** Calls the sandbox's control: `control('POST', '/faults', {…})`. */
function control(base) {
  return async (method, path, body) => {
    const response = await fetch(base + path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    return response.json();
  };
}

/** The codes sent lately, newest first. */
async function codes(url) {
  return (await fetch(`${url}/demo/codes`)).json();
}

/** The code of a challenge; `before` are the codes that were there when it was asked for. */
async function code(url, { masked_phone: masked, before }) {
  const old = before.find((one) => one.masked_phone === masked)?.code;
  for (let tries = 0; tries < 50; tries += 1) {
    const found = (await codes(url)).find((one) => one.masked_phone === masked);
    if (found && found.code !== old) return found.code;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`no code for ${masked}`);
}
