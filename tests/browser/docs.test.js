// What the documentation shows is run: every `js` block of web.md and apps.md, every request of the collection.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { startDemo } from './demo.js';
import { launch } from './visitor.js';

const DOCS = new URL('../../docs/', import.meta.url).pathname;

let demo;
let browser;

before(async () => {
  browser = await launch();
});
beforeEach(async () => {
  demo = await startDemo();
});
afterEach(() => demo.stop());
after(() => browser.close());

/** The `js` blocks of a page as the body of one function. A failed `console.assert` is an error. */
function blocks(page) {
  const text = readFileSync(`${DOCS}${page}`, 'utf8');
  const found = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map((match) => match[1]);
  assert.ok(found.length > 4, page);
  return found.join('\n').replaceAll('console.assert(', 'assert(');
}

test('the examples of web.md hold in a browser', async () => {
  const context = await browser.newContext({ serviceWorkers: 'block' });
  const page = await context.newPage();
  await page.exposeFunction('codeOf', (challenge) => demo.code({ ...challenge, before: [] }));
  await page.goto(`${demo.url}/sign-in`);
  // Given to the debugger as text: the page's own policy would not let it become code.
  await page.evaluate(
    `(async (cabinet) => { const assert = (right) => { if (!right) throw new Error('an example does not hold'); };\n${blocks('web.md')}\n})(location.origin)`,
  );
  await context.close();
});

test('the examples of apps.md hold', async () => {
  const AsyncFunction = (async () => {}).constructor;
  const run = new AsyncFunction('cabinet', 'codeOf', 'assert', blocks('apps.md'));
  await run(demo.url, (challenge) => demo.code({ ...challenge, before: [] }), assert);
});

for (const file of readdirSync(`${DOCS}collection`).filter((name) => name.endsWith('.http'))) {
  test(`every request of ${file} answers what it says`, async () => {
    const variables = { base: demo.url };
    const answers = {};
    let cookie = '';
    for (const request of parse(readFileSync(`${DOCS}collection/${file}`, 'utf8'), variables)) {
      const answer = await send(request, variables, answers, cookie);
      const set = answer.headers.getSetCookie().map((one) => one.split(';')[0]);
      if (set.length > 0) cookie = set.join('; ');
      assert.equal(answer.status, request.status, `${file}: ${request.title}`);
    }
  });
}

/** The requests of an `.http` file; its `@name = value` lines are added to `variables` unless they are there. */
function parse(text, variables) {
  for (const [, name, value] of text.matchAll(/^@(\w+) = (.*)$/gm)) variables[name] ??= value;
  return text
    .split(/^### /m)
    .slice(1)
    .map((part) => {
      const [head, ...body] = part.split('\n\n');
      const lines = head.split('\n');
      const asked = lines.findIndex((line) => /^(GET|POST|PATCH|PUT|DELETE) /.test(line));
      const [method, url] = lines[asked].split(' ');
      return {
        title: lines[0],
        name: /^# @name (\w+)$/m.exec(head)?.[1],
        status: Number(/^# (\d{3})$/m.exec(head)?.[1]),
        method,
        url,
        headers: Object.fromEntries(
          lines
            .slice(asked + 1)
            .filter(Boolean)
            .map((line) => line.split(/: (.*)/)),
        ),
        body: body.join('\n\n').trim() || undefined,
      };
    });
}

async function send(request, variables, answers, cookie) {
  const filled = (text) => text?.replace(/\{\{([^}]+)\}\}/g, (_, name) => variables[name] ?? picked(answers, name));
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, filled(value)]));
  if (headers['X-Cabinet'] || !headers.Authorization) headers.Cookie = cookie;
  for (let tries = 0; ; tries += 1) {
    const answer = await fetch(filled(request.url), { method: request.method, headers, body: filled(request.body) });
    if (!request.name) return answer;
    answers[request.name] = await answer.json();
    // A message takes a moment to be sent.
    if (request.name !== 'codes' || answers.codes.length > 0 || tries > 50) return answer;
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** `name.response.body.$.a[0].b` out of an earlier answer. */
function picked(answers, path) {
  const [, name, rest] = /^(\w+)\.response\.body\.\$(.*)$/.exec(path);
  const value = rest
    .split(/[.[\]]+/)
    .filter(Boolean)
    .reduce((inside, key) => inside?.[key], answers[name]);
  assert.ok(value !== undefined && value !== null, path);
  return value;
}
