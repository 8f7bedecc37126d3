// How the page is served: a strict policy, nothing from elsewhere, small, asked for anew and rarely sent twice; and rules of its sources.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { startDemo } from './demo.js';
import { stage } from './stage.js';
import { visitor } from './visitor.js';

const STATIC = new URL('../../static/', import.meta.url).pathname;
const SHELL_AT_MOST = 60 * 1024;

const on = stage();

const sources = () =>
  readdirSync(STATIC, { recursive: true }).filter((name) => name.endsWith('.js') && !name.startsWith('sandbox/'));

test('the policy allows our own files only and no inline code', async () => {
  const answer = await fetch(on.demo.url);
  const policy = answer.headers.get('content-security-policy');
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'self';/);
  assert.match(policy, /require-trusted-types-for 'script'/);
  assert.doesNotMatch(policy, /unsafe|\*|data:/);
  const page = await answer.text();
  assert.doesNotMatch(page, /<script(?![^>]*src)|<style|\son\w+=|style=|%[A-Z_]+%/);
  for (const name of [
    'x-content-type-options',
    'referrer-policy',
    'x-frame-options',
    'cross-origin-opener-policy',
    'permissions-policy',
  ]) {
    assert.ok(answer.headers.get(name), name);
  }
});

test('an injected script does not run', async () => {
  const guest = await on.come();
  guest.expect(/Content Security Policy|TrustedHTML|Trusted/);
  await guest.page.goto('/sign-in');
  await guest.page.getByRole('textbox').waitFor();
  const ran = await guest.page.evaluate(() => {
    const script = document.createElement('script');
    try {
      script.textContent = 'window.ran = true';
      document.body.append(script);
    } catch {
      // Refused before it was even a script.
    }
    return 'ran' in window;
  });
  assert.equal(ran, false);
});

test('the page asks no other host, and its whole shell is small', async () => {
  const guest = await on.come();
  const sizes = [];
  guest.page.on('requestfinished', async (request) => {
    const path = new URL(request.url()).pathname;
    if (!/^\/(api|demo|developer)/.test(path)) sizes.push(request.sizes().then((size) => size.responseBodySize));
  });
  await guest.signIn('+79160000001');
  for (const path of ['/history', '/burning', '/card', '/profile', '/devices']) {
    await guest.page.evaluate((to) => {
      history.pushState(null, '', to);
      dispatchEvent(new PopStateEvent('popstate'));
    }, path);
    await guest.page.locator('main h1').waitFor();
  }
  const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  assert.ok(total > 10_000 && total < SHELL_AT_MOST, `${total} bytes`);
  console.log(`the shell with every screen: ${total} bytes compressed`);
  assert.deepEqual(
    [...guest.hosts].filter((origin) => origin !== on.demo.url && !origin.startsWith('http://127.0.0.1')),
    [],
  );
});

test('files are compressed, tagged and not sent twice', async () => {
  for (const [accepted, coding] of [
    ['br, gzip', 'br'],
    ['gzip', 'gzip'],
    ['identity', null],
  ]) {
    const answer = await fetch(`${on.demo.url}/css/base.css`, { headers: { 'accept-encoding': accepted } });
    assert.equal(answer.headers.get('content-encoding'), coding);
    assert.equal(answer.headers.get('cache-control'), 'no-cache');
    const again = await fetch(`${on.demo.url}/css/base.css`, {
      headers: { 'accept-encoding': accepted, 'if-none-match': answer.headers.get('etag') },
    });
    assert.equal(again.status, 304);
  }
});

test('only screens of the page fall back to it', async () => {
  const router = readFileSync(`${STATIC}router.js`, 'utf8');
  const paths = [...router.matchAll(/path: '([^']+)'/g)].map((match) =>
    match[1].length > 1 && match[1].endsWith('/') ? `${match[1]}abc` : match[1],
  );
  assert.ok(paths.length >= 10);
  for (const path of paths) {
    const answer = await fetch(on.demo.url + path, { headers: { accept: 'text/html' } });
    assert.equal(answer.status, 200, path);
    assert.match(await answer.text(), /id="main"/, path);
  }
  for (const path of [
    '/api/v1/nothing',
    '/partner/v1/nothing',
    '/api',
    '/../Cargo.toml',
    '/%2e%2e/Cargo.toml',
    '/types/api.d.ts',
  ]) {
    const answer = await fetch(on.demo.url + path, { headers: { accept: 'text/html' } });
    assert.equal(answer.status, 404, path);
    assert.equal(answer.headers.get('content-type'), 'application/problem+json', path);
  }
  for (const path of ['/nothing', '/checks/', '/checks/a/b', '/css']) {
    const shown = await fetch(on.demo.url + path, { headers: { accept: 'text/html' } });
    assert.equal(shown.status, 404, path);
    assert.match(await shown.text(), /id="main"/, `${path} is told by the page`);
    const asked = await fetch(on.demo.url + path);
    assert.equal(asked.headers.get('content-type'), 'application/problem+json', path);
  }
  const posted = await fetch(on.demo.url, { method: 'POST' });
  assert.equal(posted.status, 405);
});

test('it can be installed', async () => {
  const manifest = await (await fetch(`${on.demo.url}/manifest.webmanifest`)).json();
  assert.equal(manifest.display, 'standalone');
  for (const icon of manifest.icons) {
    const answer = await fetch(on.demo.url + icon.src);
    assert.equal(answer.headers.get('content-type'), icon.type, icon.src);
  }
});

test('a restaurant’s colours and name come from the configuration', async () => {
  const own = await startDemo({ CABINET_PROGRAM__THEME__ACCENT: '#a02040', CABINET_PROGRAM__THEME__ACCENT_DARK: '#ffa0b0' });
  try {
    const guest = await visitor(on.browser, own, { colorScheme: 'light', reducedMotion: 'reduce' });
    await guest.page.goto('/sign-in');
    await guest.page.getByRole('textbox').waitFor();
    const button = guest.page.getByRole('button', { name: 'Получить код' });
    assert.equal(await button.evaluate((element) => getComputedStyle(element).backgroundColor), 'rgb(160, 32, 64)');
    await guest.axe('an own accent');
    await guest.page.emulateMedia({ colorScheme: 'dark' });
    assert.equal(await button.evaluate((element) => getComputedStyle(element).backgroundColor), 'rgb(255, 160, 176)');
    await guest.axe('an own accent in the dark');
    await guest.close();
  } finally {
    await own.stop();
  }
});

test('the cabinet can be switched off, and the API stays', async () => {
  const own = await startDemo({ CABINET_WEB__CABINET: 'false' });
  try {
    assert.equal((await fetch(own.url)).status, 404);
    assert.equal((await fetch(`${own.url}/api/v1/program`)).status, 200);
  } finally {
    await own.stop();
  }
});

test('api.js alone talks to the server, and nothing makes markup out of text', () => {
  for (const name of sources()) {
    const code = readFileSync(STATIC + name, 'utf8');
    if (!['api.js', 'sw.js', 'developer/sandbox.js'].includes(name))
      assert.doesNotMatch(code, /\bfetch\(|XMLHttpRequest|EventSource|sendBeacon/, name);
    assert.doesNotMatch(code, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?:\/\/(?!www\.w3\.org)/, name);
    assert.ok(code.split('\n').length <= 260, `${name} fits in the head`);
  }
});

test('every text is used and known in both languages', () => {
  const all = sources()
    .filter((name) => !name.startsWith('texts/'))
    .map((name) => readFileSync(STATIC + name, 'utf8'))
    .join('\n');
  const names = (language) =>
    [...readFileSync(`${STATIC}texts/${language}.js`, 'utf8').matchAll(/^ {2}'([\w.]+)':/gm)].map((match) => match[1]);
  assert.deepEqual(names('ru').sort(), names('en').sort());
  const families = ['kind.', 'code.', 'code.by.', 'profile.theme.', 'history.'];
  const unused = names('ru').filter((name) => !all.includes(`'${name}'`) && !families.some((family) => name.startsWith(family)));
  assert.deepEqual(unused, []);
});
