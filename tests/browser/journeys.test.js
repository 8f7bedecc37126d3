// What guests do, done in a real browser over the real server and the sandbox.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { startDemo } from './demo.js';
import { DESKTOP, launch, settled, visitor } from './visitor.js';

let demo;
let browser;
const guests = [];
const come = async (options) => {
  const guest = await visitor(browser, demo, options);
  guests.push(guest);
  return guest;
};

before(async () => {
  demo = await startDemo();
  browser = await launch();
});
afterEach(async () => {
  await demo.control('DELETE', '/faults');
  for (const guest of guests.splice(0)) await guest.close();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

const RICH = '+79160000001';
const NOBODY_YET = '+79160000008';
const OLD_HAND = '+79160000006';

test('a guest signs in with a code, and a wrong one tells how many tries are left', async () => {
  const guest = await come();
  const { page } = guest;
  guest.expect(/422/);
  await page.goto('/');
  await page.waitForURL('**/sign-in');
  await page.getByLabel('Номер телефона').fill('916');
  await page.getByRole('button', { name: 'Получить код' }).click();
  await page.getByText('Введите номер целиком').waitFor();
  await page.getByLabel('Номер телефона').fill('9160000001');
  assert.equal(await page.getByLabel('Номер телефона').inputValue(), '+7 916 000-00-01');
  const challenge = await guest.ask();
  const right = await demo.code(challenge);
  const field = page.getByLabel('Код из 6 цифр');
  assert.equal(await field.getAttribute('autocomplete'), 'one-time-code');
  await field.pressSequentially(right === '111111' ? '222222' : '111111');
  await page.getByText('Осталось 4 попытки').waitFor();
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  await field.pressSequentially(right);
  await page.getByRole('heading', { name: 'Здравствуйте, Анна' }).waitFor();
  const cookie = (await guest.context.cookies()).find((one) => one.name === 'session');
  assert.equal(cookie.httpOnly, true);
  assert.equal(cookie.sameSite, 'Strict');
});

test('a phone is understood however it is pasted', async () => {
  const { page } = await come();
  await page.goto('/sign-in');
  const field = page.getByLabel('Номер телефона');
  for (const text of ['8 (916) 000-00-01', '+7 916 000 00 01', '89160000001', 'тел. 9160000001']) {
    await field.fill('+7 9');
    await field.evaluate((input, pasted) => {
      const data = new DataTransfer();
      data.setData('text', pasted);
      input.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
    }, text);
    assert.equal(await field.inputValue(), '+7 916 000-00-01', text);
  }
  await field.fill('+79160000001');
  await field.evaluate((input) => input.setSelectionRange(6, 6));
  await page.keyboard.press('Backspace');
  assert.equal(await field.inputValue(), '+7 910 000-00-1');
  assert.equal(await field.evaluate((input) => input.selectionStart), 5, 'the caret stays where the digit was');
});

test('a code can be sent again after the pause', async () => {
  const guest = await come();
  const { page } = guest;
  await page.goto('/sign-in');
  await page.getByLabel('Номер телефона').fill(RICH);
  await guest.ask();
  const again = page.getByRole('button', { name: 'Отправить ещё раз', exact: true });
  await again.click();
  await page.locator('.toast', { hasText: 'Отправили ещё раз' }).waitFor();
  await page.getByRole('link', { name: 'Изменить номер' }).click();
  await page.getByLabel('Номер телефона').waitFor();
});

test('a new guest signs up, once the consents are given', async () => {
  const guest = await come();
  const { page } = guest;
  await guest.signIn(NOBODY_YET, { landing: '/sign-up' });
  await page.getByRole('button', { name: 'Завести карту' }).click();
  await page.getByText('Заполните это поле').first().waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('name')), 'first_name');
  await page.getByLabel('Имя', { exact: true }).fill('Евгения');
  await page.getByLabel('Фамилия').fill('Тестова');
  await page.getByRole('button', { name: 'Завести карту' }).click();
  assert.equal(await page.getByText('Нужно согласие').count(), 2, 'only what is required is asked for');
  for (const name of ['Согласие на обработку', 'Правила бонусной']) await page.getByLabel(name).check();
  assert.equal(await page.getByLabel('Согласие на рекламные').isChecked(), false);
  await page.getByRole('button', { name: 'Завести карту' }).click();
  await page.getByRole('heading', { name: 'Здравствуйте, Евгения' }).waitFor();
});

test('history goes further back as the guest scrolls, and a filter narrows it', async () => {
  const guest = await come();
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
  await page.getByRole('button', { name: 'Списание', exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll('.days li').length > 0 && [...document.querySelectorAll('.days .dot')].every((dot) => dot.classList.contains('dot-spend')));
});

test('a check opens from the history, down to its dishes', async () => {
  const guest = await come();
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
  const guest = await come();
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
  const guest = await come();
  const { page } = guest;
  await guest.signIn(RICH);
  await page.getByRole('link', { name: /сгор/ }).first().click();
  await page.locator('.chart .bar').first().waitFor();
  const rows = await page.locator('tbody tr').count();
  assert.equal(await page.locator('.chart .bar').count(), Math.min(rows, 12));
  assert.match(await page.getByRole('img').getAttribute('aria-label'), new RegExp(`${rows} д`));
});

test('when ProBonus is down the last view stays and says so; when it is back so does the page', async () => {
  const guest = await come();
  const { page } = guest;
  await guest.signIn(RICH);
  await page.locator('.hero-number').waitFor();
  await demo.control('POST', '/faults', { kind: 'status', status: 503 });
  // A view is asked for anew at most once in three seconds, however often the guest asks.
  await page.waitForFunction(() => {
    document.querySelector('.refresh')?.click();
    return document.querySelector('.notice-stale');
  }, null, { polling: 1000 });
  assert.match(await page.locator('.notice-stale').textContent(), /Бонусная система сейчас не отвечает/);
  assert.equal(await page.locator('.hero-number').count(), 1, 'the balance is still there');
  await demo.control('DELETE', '/faults');
  await page.waitForFunction(() => {
    document.querySelector('.refresh')?.click();
    return !document.querySelector('.notice-text');
  }, null, { polling: 1000, timeout: 30_000 });
});

test('a guest whose view was never seen is told plainly that nothing can be asked now', async () => {
  const guest = await come();
  const { page } = guest;
  await demo.control('POST', '/faults', { kind: 'reset_before', phone: '+79160000005' });
  guest.expect(/503|502/);
  await guest.signIn('+79160000005');
  await page.getByText('Бонусная система не отвечает').waitFor();
  await page.getByRole('button', { name: 'Повторить' }).waitFor();
});

test('without a connection the page says so, keeps what it has and comes back by itself', async () => {
  const guest = await come();
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
  const guest = await come({ serviceWorkers: 'allow' });
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
  assert.deepEqual(kept.filter((path) => path.startsWith('/api/')), [], 'nothing of the guest is kept');
});

test('a purchase at the till shows by itself', async () => {
  const guest = await come();
  const { page } = guest;
  await guest.signIn(RICH);
  await page.locator('.hero-number').waitFor();
  const before = Number(await page.locator('.hero-number').getAttribute('data-balance'));
  await demo.control('POST', '/till/purchase', { phone: RICH, sum: 100_000 });
  await page.waitForFunction((old) => Number(document.querySelector('.hero-number')?.getAttribute('data-balance')) > old, before, { timeout: 40_000 });
  await page.locator('.toast', { hasText: 'Вам начислено' }).waitFor();
});

test('a session ended from another device ends there', async () => {
  const phone = await come();
  const laptop = await come(DESKTOP);
  await phone.signIn('+79160000007');
  await laptop.signIn('+79160000007');
  await laptop.page.goto('/devices');
  await laptop.page.getByRole('button', { name: /^Завершить сеанс/ }).first().click();
  await laptop.page.locator('.toast', { hasText: 'Сеанс завершён' }).waitFor();
  phone.expect(/401/);
  await phone.page.getByRole('link', { name: 'История', exact: true }).click();
  await phone.page.getByRole('heading', { name: /Ваши бонусы/ }).waitFor();
});

test('who signs out leaves nothing behind', async () => {
  const guest = await come();
  const { page, context } = guest;
  await guest.signIn(RICH);
  await page.getByRole('link', { name: 'Профиль' }).click();
  await page.getByRole('button', { name: 'Выйти' }).click();
  await page.getByRole('heading', { name: /Ваши бонусы/ }).waitFor();
  assert.equal((await context.cookies()).some((one) => one.name === 'session'), false);
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  assert.doesNotMatch(kept, /916|Анна/);
  await page.goBack();
  await page.getByRole('heading', { name: /Ваши бонусы/ }).waitFor();
});

test('everything can be done by keyboard alone', async () => {
  const guest = await come(DESKTOP);
  const { page } = guest;
  await page.goto('/sign-in');
  await page.getByLabel('Номер телефона').waitFor();
  await page.keyboard.type('9160000002');
  const challenge = await guest.ask();
  await page.getByLabel('Код из 6 цифр').waitFor();
  await page.keyboard.type(await demo.code(challenge));
  await page.getByRole('heading', { name: 'Здравствуйте, Борис' }).waitFor();
  for (let tries = 0; tries < 15; tries += 1) {
    await page.keyboard.press('Tab');
    if ((await page.evaluate(() => document.activeElement?.textContent)) === 'Профиль') break;
  }
  await page.keyboard.press('Enter');
  await page.waitForURL('**/profile');
  await page.waitForFunction(() => document.activeElement?.tagName === 'H1');
});

test('in English too, with its own plural forms', async () => {
  const guest = await come();
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
  const guest = await come(DESKTOP);
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
