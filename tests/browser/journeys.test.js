// What signed-in guests do, done in a real browser over the real server and the sandbox, on good days and on bad ones.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stage } from './stage.js';
import { DESKTOP, settled } from './visitor.js';

const on = stage();

const RICH = '+79160000001';
const OLD_HAND = '+79160000006';

test('history goes further back as the guest scrolls, and a filter narrows it', async () => {
  const guest = await on.come();
  const { page } = guest;
  await guest.signIn(OLD_HAND);
  await page.getByRole('link', { name: 'История', exact: true }).click();
  const rows = page.locator('.days li');
  await rows.first().waitFor();
  for (const least of [21, 41]) {
    await page.keyboard.press('End');
    await page.waitForFunction((most) => document.querySelectorAll('.days li').length >= most, least);
  }
  const days = await page.locator('.days > section').evaluateAll((all) => all.map((one) => one.dataset.day));
  assert.deepEqual(days, [...new Set(days)].sort().reverse(), 'days are whole and the newest is first');
  await page.getByRole('button', { name: 'Списания', exact: true }).click();
  await page.waitForFunction(
    () =>
      document.querySelectorAll('.days li').length > 0 &&
      [...document.querySelectorAll('.days .dot')].every((dot) => dot.classList.contains('dot-spend')),
  );
});

test('who comes back from a check is where they were', async () => {
  const guest = await on.come();
  const { page } = guest;
  await guest.signIn(OLD_HAND);
  await page.getByRole('link', { name: 'История', exact: true }).click();
  const rows = page.locator('.days li');
  await rows.first().waitFor();
  await page.keyboard.press('End');
  await page.waitForFunction(() => document.querySelectorAll('.days li').length > 20);
  const row = page.locator('.days a.row').nth(25);
  await row.scrollIntoViewIfNeeded();
  await settled(page);
  const [count, place] = [await rows.count(), await page.evaluate(() => scrollY)];
  assert.ok(place > 500);
  await row.click();
  await page.locator('.receipt').waitFor();
  await page.goBack();
  await rows.nth(25).waitFor();
  await page.waitForFunction((place) => Math.abs(scrollY - place) < 50, place);
  assert.ok((await rows.count()) >= count);
});

test('a check opens from the history, down to its dishes', async () => {
  const guest = await on.come();
  const { page } = guest;
  await guest.signIn(RICH);
  await page.getByRole('link', { name: 'История', exact: true }).click();
  await page.locator('.days a.row').first().click();
  await page.waitForURL('**/checks/*');
  await page.locator('.dishes tbody tr').first().waitFor();
  await page.getByText('Оплачено деньгами').waitFor();
  guest.expect(/404/);
  await page.goto('/checks/999999999');
  await page.getByText('Такого чека нет').waitFor();
});

test('what the server finds wrong in the profile is said at its field', async () => {
  const guest = await on.come();
  const { page } = guest;
  await guest.signIn(RICH);
  await page.getByRole('link', { name: 'Профиль' }).click();
  const email = page.getByLabel(/почта/);
  await email.fill('anna@localhost');
  guest.expect(/422/);
  await page.getByRole('button', { name: 'Сохранить' }).click();
  await page.getByText('Неверный формат').waitFor();
  assert.equal(await email.getAttribute('aria-invalid'), 'true');
  assert.equal(await email.evaluate((input) => input === document.activeElement), true);
  assert.match(await email.getAttribute('aria-describedby'), /error-email/);
  await email.fill('anna.new@example.ru');
  await page.getByRole('button', { name: 'Сохранить' }).click();
  await page.locator('.toast', { hasText: 'Сохранено' }).waitFor();
  await page.reload();
  await email.waitFor();
  assert.equal(await email.inputValue(), 'anna.new@example.ru');
});

test('the burning schedule is drawn and told in a table', async () => {
  const guest = await on.come();
  const { page } = guest;
  await guest.signIn(RICH);
  await page.getByRole('link', { name: /сгор/ }).first().click();
  await page.locator('.chart .bar').first().waitFor();
  const rows = await page.locator('tbody tr').count();
  assert.equal(await page.locator('.chart .bar').count(), Math.min(rows, 12));
  assert.match(await page.getByRole('img').getAttribute('aria-label'), new RegExp(`${rows} д`));
});

test('when ProBonus is down the last view stays and says so; when it is back so does the page', async () => {
  const guest = await on.come();
  const { page } = guest;
  await guest.signIn(RICH);
  await page.locator('.hero-number').waitFor();
  await on.demo.control('POST', '/faults', { kind: 'status', status: 503 });
  // A view is asked for anew at most once in three seconds, however often the guest asks.
  await page.waitForFunction(
    () => {
      document.querySelector('.refresh')?.click();
      return document.querySelector('.notice-stale');
    },
    null,
    { polling: 1000 },
  );
  assert.match(await page.locator('.notice-stale').textContent(), /Бонусная система сейчас не\sотвечает/);
  assert.equal(await page.locator('.hero-number').count(), 1, 'the balance is still there');
  await on.demo.control('DELETE', '/faults');
  await page.waitForFunction(
    () => {
      document.querySelector('.refresh')?.click();
      return !document.querySelector('.notice-text');
    },
    null,
    { polling: 1000, timeout: 30_000 },
  );
});

test('a guest whose view was never seen is told plainly that nothing can be asked now', async () => {
  const guest = await on.come();
  const { page } = guest;
  await on.demo.control('POST', '/faults', { kind: 'reset_before', phone: '+79160000005' });
  guest.expect(/503|502/);
  await guest.signIn('+79160000005');
  await page.getByText('Бонусная система не отвечает').waitFor();
  await page.getByRole('button', { name: 'Повторить' }).waitFor();
});

test('without a connection the page says so, keeps what it has and comes back by itself', async () => {
  const guest = await on.come();
  const { page, context } = guest;
  await guest.signIn(RICH);
  await page.locator('.hero-number').waitFor();
  guest.expect(/ERR_INTERNET_DISCONNECTED/);
  await context.setOffline(true);
  await page.getByText('Нет связи с интернетом').waitFor();
  assert.equal(await page.locator('.hero-number').count(), 1);
  await context.setOffline(false);
  await page.locator('.notice-text').waitFor({ state: 'detached' });
});

test('the shell opens without a connection', async () => {
  const guest = await on.come({ serviceWorkers: 'allow' });
  const { page, context } = guest;
  await guest.signIn(RICH);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  await page.locator('.hero-number').waitFor();
  guest.expect(/ERR_INTERNET_DISCONNECTED|Failed to fetch/);
  await context.setOffline(true);
  await page.reload();
  await page.getByText('Нет связи с интернетом').waitFor();
  const kept = await page.evaluate(async () => {
    const cache = await caches.open('shell');
    return (await cache.keys()).map((request) => new URL(request.url).pathname);
  });
  assert.deepEqual(
    kept.filter((path) => path.startsWith('/api/')),
    [],
    'nothing of the guest is kept',
  );
});

test('a purchase at the till shows by itself', async () => {
  const guest = await on.come();
  const { page } = guest;
  await guest.signIn(RICH);
  await page.locator('.hero-number').waitFor();
  const before = Number(await page.locator('.hero-number').getAttribute('data-balance'));
  await on.demo.control('POST', '/till/purchase', { phone: RICH, sum: 100_000 });
  await page.waitForFunction((old) => Number(document.querySelector('.hero-number')?.getAttribute('data-balance')) > old, before, {
    timeout: 40_000,
  });
  await page.locator('.toast', { hasText: 'Вам начислено' }).waitFor();
  await page.locator('.recent li').first().getByText('сегодня').waitFor();
});

test('what is looked at is not drawn anew when nothing changed, and keeps the focus when something did', async () => {
  const guest = await on.come();
  const { page } = guest;
  await guest.signIn('+79160000003');
  const all = page.getByRole('link', { name: 'Все движения' });
  await all.focus();
  const hero = await page.locator('.hero-number').elementHandle();
  await page.getByRole('button', { name: 'Обновить' }).click();
  await page.locator('.toast', { hasText: 'Обновлено' }).waitFor();
  assert.equal(await hero.evaluate((element) => element.isConnected), true);
  await all.focus();
  await on.demo.control('POST', '/till/purchase', { phone: '+79160000003', sum: 50_000 });
  await page.waitForFunction((old) => !old.isConnected, hero, { timeout: 40_000 });
  assert.match(await page.evaluate(() => document.activeElement.textContent), /^Все/);
});

test('a page that does not exist says so and leads home', async () => {
  const guest = await on.come();
  const { page } = guest;
  guest.expect(/404/);
  await guest.signIn(RICH);
  await page.goto('/nothing-of-the-kind');
  await page.getByRole('heading', { name: 'Такой страницы нет', level: 2 }).waitFor();
  await guest.axe('a page that does not exist');
  await page.getByRole('link', { name: 'На главную' }).click();
  await page.getByRole('heading', { name: /Здравствуйте/ }).waitFor();
});

test('in English too, with its own plural forms', async () => {
  const guest = await on.come();
  const { page } = guest;
  await guest.signIn(RICH);
  await page.getByRole('button', { name: 'Switch to English' }).click();
  await page.getByRole('heading', { name: 'Hello, Анна' }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
  assert.match(await page.locator('.hero-word').textContent(), /^bonus(es)?$/);
  await settled(page);
  assert.match(await page.title(), /^Home\s— Trapeza$/);
});

test('the developer’s drawer signs in as anybody and breaks ProBonus', async () => {
  const guest = await on.come(DESKTOP);
  const { page } = guest;
  await page.goto('/sign-in');
  await page.getByRole('button', { name: 'Demo' }).click();
  await page.getByRole('button', { name: /Вера/ }).click();
  await page.getByRole('heading', { name: 'Здравствуйте, Вера' }).waitFor();
  await page.getByRole('button', { name: 'Demo' }).click();
  await page.getByRole('button', { name: 'Отвечает 503' }).click();
  await page.locator('.drawer code', { hasText: 'status' }).waitFor();
  await page.getByRole('button', { name: 'Починить' }).click();
  await page.getByText('ProBonus исправен').waitFor();
  await guest.axe('the drawer');
});

test('the chosen look stays, from the first paint on', async () => {
  const guest = await on.come({ colorScheme: 'light' });
  const { page } = guest;
  await guest.signIn(RICH);
  await page.goto('/profile');
  await page.getByLabel('Оформление').selectOption('dark');
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  assert.equal(await background(), 'rgb(19, 18, 17)');
  await page.goto('/history', { waitUntil: 'commit' });
  await page.waitForFunction(() => document.body);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  assert.equal(await background(), 'rgb(19, 18, 17)');
});

test('who follows a link and has to sign in first gets where it leads', async () => {
  const guest = await on.come();
  const { page } = guest;
  await page.goto('/burning');
  await page.waitForURL('**/sign-in');
  await page.getByRole('textbox').fill('+79160000007');
  const { code } = await guest.askAndRead();
  await page.locator('input.code').pressSequentially(code);
  await page.waitForURL('**/burning');
});

test('a guest on the other side of the world reads the days and hours of the restaurants', async () => {
  const read = async (timezoneId) => {
    const guest = await on.come({ timezoneId });
    const { page } = guest;
    await guest.signIn(RICH);
    await page.locator('.hero-number').waitFor();
    await settled(page);
    const hero = await page.locator('main').innerText();
    await page.getByRole('link', { name: 'История', exact: true }).click();
    await page.locator('.days li').first().waitFor();
    await settled(page);
    return [hero, await page.locator('.days').innerText()];
  };
  const [moscow, auckland, honolulu] = [await read('Europe/Moscow'), await read('Pacific/Auckland'), await read('Pacific/Honolulu')];
  assert.deepEqual(auckland, moscow);
  assert.deepEqual(honolulu, moscow);
});
