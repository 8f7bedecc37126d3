// Every screen, phone and desktop, light and dark: axe finds nothing, and a picture is left for people to look at.

import { test } from 'node:test';
import { stage } from './stage.js';
import { DESKTOP, PHONE, settled } from './visitor.js';

const on = stage();

const SCREENS = {
  home: '/',
  history: '/history',
  burning: '/burning',
  card: '/card',
  profile: '/profile',
  devices: '/devices',
  'not-found': '/checks/999999999',
};

for (const [size, options] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
  for (const colorScheme of ['light', 'dark']) {
    test(`every screen is right on a ${size} in ${colorScheme}`, async () => {
      const guest = await on.come({ ...options, colorScheme, reducedMotion: 'reduce' });
      const { page } = guest;
      const look = async (name) => {
        await settled(page);
        await guest.axe(`${name}, ${size}, ${colorScheme}`);
        await guest.shot(`${name}-${size}-${colorScheme}`);
      };

      await page.goto('/sign-in');
      await look('sign-in');
      await page.getByRole('textbox').fill('9160000001');
      const challenge = await guest.ask();
      await page.locator('input.code').waitFor();
      await look('code');
      await page.locator('input.code').pressSequentially(await on.demo.code(challenge));
      await page.waitForURL((url) => url.pathname === '/');

      guest.expect(/404/);
      await page.locator('.hero-number').waitFor();
      await settled(page);
      await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
      await look('home-below');
      for (const [name, path] of Object.entries(SCREENS)) {
        await page.goto(path);
        await look(name);
      }
      await page.goto('/history');
      await page.locator('.days a.row').first().click();
      await page.locator('.receipt').waitFor();
      await look('check');

      await page.goto('/');
      await settled(page);
      guest.expect(/ERR_INTERNET_DISCONNECTED/);
      await guest.context.setOffline(true);
      await page.locator('.notice-text').waitFor();
      await look('offline');
      await guest.context.setOffline(false);

      await page.goto('/');
      await settled(page);
      await on.demo.control('POST', '/faults', { kind: 'status', status: 503 });
      await page.waitForFunction(
        () => {
          document.querySelector('.refresh')?.click();
          return document.querySelector('.notice-stale');
        },
        null,
        { polling: 1000 },
      );
      await page.locator('.toast').waitFor({ state: 'detached' });
      await look('stale');
      await on.demo.control('DELETE', '/faults');
      await page.waitForFunction(
        () => {
          document.querySelector('.refresh')?.click();
          return !document.querySelector('.notice-stale');
        },
        null,
        { polling: 1000, timeout: 30_000 },
      );
      await guest.forget();

      for (const [name, phone] of Object.entries({
        blocked: '+79160000004',
        newcomer: '+79160000002',
        'sign-up': '+79160000008',
      })) {
        await guest.signIn(phone, { landing: name === 'sign-up' ? '/sign-up' : '/' });
        await look(name);
        await guest.forget();
      }
    });
  }
}

for (const colorScheme of ['light', 'dark']) {
  test(`what is seldom seen is right too, in ${colorScheme}`, async () => {
    const guest = await on.come({ colorScheme, reducedMotion: 'reduce', serviceWorkers: 'allow' });
    const { page, context } = guest;
    const look = async (name, loading = false) => {
      if (!loading) await settled(page);
      await guest.axe(`${name}, ${colorScheme}`);
      await guest.shot(`${name}-phone-${colorScheme}`);
    };

    guest.expect(/422|503|ERR_INTERNET_DISCONNECTED|Failed to fetch/);
    await page.goto('/sign-in');
    await page.getByRole('textbox').fill('916');
    await page.keyboard.press('Enter');
    await look('sign-in-wrong');
    await page.getByRole('textbox').fill('9160000003');
    const { code } = await guest.askAndRead();
    await page.locator('input.code').pressSequentially(code === '111111' ? '222222' : '111111');
    await page.locator('.field.wrong').waitFor();
    await look('code-wrong');
    for (let tries = 0; tries < 4; tries += 1) {
      const answered = page.waitForResponse((answer) => answer.url().endsWith('/verify'));
      await page.locator('input.code').pressSequentially(code === '111111' ? '222222' : '111111');
      await answered;
    }
    await page.getByRole('button', { name: 'Запросить новый код' }).waitFor();
    await look('code-exhausted');
    await guest.forget();

    // The demo's console sends messages only; the page is shown an operator with more.
    await page.route('**/auth/challenges', async (route) => {
      const answer = await route.fetch();
      await route.fulfill({
        response: answer,
        json: { ...(await answer.json()), channel: 'guest_call', channels: ['sms', 'guest_call', 'telegram'] },
      });
    });
    await page.goto('/sign-in');
    await page.getByRole('textbox').fill('9160000007');
    await guest.ask();
    await page.locator('.calling').waitFor();
    await look('code-by-call');
    await page.unroute('**/auth/challenges');
    await guest.forget();

    await guest.signIn('+79160000008', { landing: '/sign-up' });
    await page.getByLabel('Имя', { exact: true }).fill('Евгения');
    await page.getByRole('button', { name: 'Завести карту' }).click();
    await page.locator('.consent').first().scrollIntoViewIfNeeded();
    await look('sign-up-wrong');
    await guest.forget();

    await guest.signIn('+79160000002');
    await page.goto('/history');
    await page.getByRole('button', { name: 'Списания', exact: true }).click();
    await page.getByText('Движений нет').waitFor();
    await look('history-empty');
    await page.getByRole('button', { name: 'Switch to English' }).click();
    await page.goto('/');
    await look('home-english');
    await page.goto('/profile');
    await look('profile-english');
    await page.getByRole('button', { name: 'Переключить на русский' }).click();

    let release = () => {};
    await page.route('**/me/home', async (route) => {
      await new Promise((done) => (release = done));
      await route.continue();
    });
    await page.goto('/');
    await page.locator('.skeleton').waitFor();
    await look('loading', true);
    release();
    await settled(page);
    await page.unroute('**/me/home');
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.goto('/devices');
    await settled(page);
    await context.setOffline(true);
    await page.goto('/');
    await page.getByText('Проверьте соединение').waitFor();
    await look('offline-from-the-start');
    await context.setOffline(false);

    await page.route('**/me/home', (route) =>
      route.fulfill({
        status: 503,
        contentType: 'application/problem+json',
        body: JSON.stringify({ code: 'upstream_unavailable', title: '' }),
      }),
    );
    await page.goto('/');
    await page.getByText('Бонусная система не отвечает').waitFor();
    await look('down');
    await page.unroute('**/me/home');

    await page.goto('/');
    await settled(page);
    await page.getByRole('button', { name: 'Demo' }).click();
    await page.locator('.drawer .drawer-guest').first().waitFor();
    await look('drawer');
  });
}

test('everything fits the narrowest phone, larger words among it', async () => {
  const guest = await on.come({ viewport: { width: 320, height: 640 }, reducedMotion: 'reduce' });
  const { page } = guest;
  await guest.signIn('+79160000001');
  for (const size of ['100%', '125%']) {
    for (const path of ['/', '/history', '/burning', '/card', '/profile', '/devices']) {
      await page.goto(path);
      await page.evaluate((size) => document.documentElement.style.setProperty('font-size', size), size);
      await settled(page);
      await guest.fits(`${path} at ${size}`);
    }
  }
});
