// A guest at a browser: opens pages, signs in, is looked over by axe, and forgives no error on the console.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SCREENS = new URL('screens/', import.meta.url).pathname;

export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
export const DESKTOP = { viewport: { width: 1280, height: 800 } };

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-background-networking'],
  });

/**
 * A browser of its own for one guest. `close()` fails if anything was said on the console that was not expected.
 * @param {import('playwright-core').Browser} browser
 * @param {Awaited<ReturnType<import('./demo.js').startDemo>>} demo
 */
export async function visitor(browser, demo, options = {}) {
  const context = await browser.newContext({
    baseURL: demo.url,
    locale: 'ru-RU',
    timezoneId: 'Europe/Moscow',
    serviceWorkers: 'block',
    ...PHONE,
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const said = [];
  const expected = [/Service Worker registration blocked/];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && said.push(message.text()));
  page.on('pageerror', (error) => said.push(String(error)));
  const hosts = new Set();
  page.on('request', (request) => request.url().startsWith('http') && hosts.add(new URL(request.url()).origin));

  return {
    page,
    context,
    hosts,
    /** Ends up as a browser that has never been here. */
    async forget() {
      await page.evaluate(() => localStorage.clear());
      await page.goto('about:blank');
      await context.clearCookies();
    },
    /** From now on messages like this one are no fault. */
    expect: (pattern) => expected.push(pattern),
    signIn,
    ask,
    askAndRead: async () => {
      const challenge = await ask();
      return { ...challenge, code: await demo.code(challenge) };
    },
    axe,
    fits,
    shot,
    async close() {
      await context.close();
      assert.deepEqual(
        said.filter((text) => !expected.some((pattern) => pattern.test(text))),
        [],
        'nothing was said on the console',
      );
    },
  };

  /** Through the page, as everybody does. */
  async function signIn(phone, { landing = '/' } = {}) {
    await page.goto('/sign-in');
    await page.getByRole('textbox').fill(phone);
    const challenge = await ask();
    await page.locator('input.code').pressSequentially(await demo.code(challenge));
    await page.waitForURL((url) => url.pathname === landing);
    await page.locator('main h1').waitFor();
  }

  /** Asks for a code; again after the pause, when another test has just asked for the same phone. */
  async function ask() {
    const before = await demo.codes();
    const asked = page.waitForResponse((answer) => answer.url().endsWith('/auth/challenges'));
    await page.getByRole('textbox').press('Enter');
    const answer = await asked;
    if (answer.status() === 202) return { ...(await answer.json()), before };
    expected.push(/429/);
    await new Promise((done) => setTimeout(done, 1100));
    return ask();
  }

  async function axe(what) {
    // The page's policy forbids injected scripts; a debugger's evaluation is not one.
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() =>
      window.axe.run(document, {
        resultTypes: ['violations'],
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      }),
    );
    const told = violations.map(
      (one) =>
        `${one.id}: ${one.nodes.map((node) => `${node.html} (${node.any.map((check) => check.message).join('; ')})`).join('\n')}`,
    );
    assert.deepEqual(told, [], `axe finds nothing on ${what}`);
    await fits(what);
  }

  /** Nothing is wider than its place. */
  async function fits(what) {
    const wide = await page.evaluate(() => {
      const places = [document.documentElement, ...document.querySelectorAll('main .card, .hero, .receipt, .top-row, .tabs')];
      return places
        .filter((place) => place.scrollWidth > place.clientWidth + 1)
        .map((place) => `${place.tagName} ${place.className}`);
    });
    assert.deepEqual(wide, [], `everything fits on ${what}`);
  }

  async function shot(name) {
    mkdirSync(SCREENS, { recursive: true });
    await page.screenshot({ path: `${SCREENS}${name}.png`, scale: 'css' });
  }
}

/** Waits until nothing is loading any more. */
export async function settled(page) {
  await page.locator('main h1, main h2').first().waitFor();
  await page.waitForFunction(
    () =>
      !document.querySelector('.skeleton, .qr[aria-busy]') &&
      document
        .getAnimations()
        .every((one) => one.playState !== 'running' || one.effect?.getComputedTiming().iterations === Infinity),
  );
}
