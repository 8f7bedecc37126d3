// Coming and going, done in a real browser over the real server and the sandbox: codes, signing up, sessions, the keyboard alone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stage } from './stage.js';
import { DESKTOP } from './visitor.js';

const on = stage();

const RICH = '+79160000001';
const NOBODY_YET = '+79160000008';

test('a guest signs in with a code, and a wrong one tells how many tries are left', async () => {
  const guest = await on.come();
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
  const right = await on.demo.code(challenge);
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
  const { page } = await on.come();
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

test('a code is understood however it is pasted', async () => {
  const guest = await on.come();
  const { page } = guest;
  await page.goto('/sign-in');
  await page.getByLabel('Номер телефона').fill('+79160000003');
  const { code } = await guest.askAndRead();
  await page.getByLabel('Код из 6 цифр').fill(`Ваш код: ${code.slice(0, 3)} ${code.slice(3)}`);
  await page.getByRole('heading', { name: 'Здравствуйте, Вера' }).waitFor();
});

test('after the last wrong code a new one is a press away', async () => {
  const guest = await on.come();
  const { page } = guest;
  guest.expect(/422/);
  await page.goto('/sign-in');
  await page.getByLabel('Номер телефона').fill('+79160000007');
  const { code } = await guest.askAndRead();
  const field = page.getByLabel('Код из 6 цифр');
  for (const told of ['4 попытки', '3 попытки', '2 попытки', '1 попытка', 'попытки закончились']) {
    await field.pressSequentially(code === '111111' ? '222222' : '111111');
    await page.getByText(told).waitFor();
  }
  assert.equal(await field.isDisabled(), true);
  const before = await on.demo.codes();
  const renew = page.getByRole('button', { name: 'Запросить новый код' });
  assert.equal(await renew.evaluate((button) => button === document.activeElement), true);
  await page.waitForTimeout(1000);
  const asked = page.waitForResponse((answer) => answer.url().endsWith('/auth/challenges'));
  await renew.click();
  const challenge = await (await asked).json();
  await field.pressSequentially(await on.demo.code({ ...challenge, before }));
  await page.getByRole('heading', { name: 'Здравствуйте, Жанна' }).waitFor();
});

test('a code comes out of the message by itself where browsers can do that, and is not waited for any longer than the screen is shown', async () => {
  const guest = await on.come();
  const { page } = guest;
  await page.addInitScript(() => {
    window.OTPCredential = class {};
    navigator.credentials.get = ({ otp, signal }) =>
      new Promise((done, failed) => {
        window.transport = otp.transport;
        window.arrive = (code) => done({ code });
        signal.addEventListener('abort', () => {
          window.aborted = true;
          failed(signal.reason);
        });
      });
  });
  await page.goto('/sign-in');
  await page.getByLabel('Номер телефона').fill('+79160000005');
  await guest.ask();
  await page.waitForFunction(() => window.transport);
  await page.getByRole('link', { name: 'Изменить номер' }).click();
  await page.waitForFunction(() => window.aborted);
  assert.equal(await page.getByLabel('Номер телефона').inputValue(), '+7 916 000-00-05', 'nobody types it twice');
  const { code } = await guest.askAndRead();
  await page.evaluate((text) => window.arrive(text), code);
  await page.getByRole('heading', { name: 'Здравствуйте, Дарья' }).waitFor();
});

test('a code can be sent again after the pause', async () => {
  const guest = await on.come();
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
  const guest = await on.come();
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

test('a session ended from another device ends there', async () => {
  const phone = await on.come();
  const laptop = await on.come(DESKTOP);
  await phone.signIn('+79160000007');
  await laptop.signIn('+79160000007');
  await laptop.page.goto('/devices');
  await laptop.page
    .getByRole('button', { name: /^Завершить сеанс/ })
    .first()
    .click();
  await laptop.page.locator('.toast', { hasText: 'Сеанс завершён' }).waitFor();
  phone.expect(/401/);
  await phone.page.getByRole('link', { name: 'История', exact: true }).click();
  await phone.page.getByRole('heading', { name: /Ваши бонусы/ }).waitFor();
});

test('who signs out leaves nothing behind', async () => {
  const guest = await on.come();
  const { page, context } = guest;
  await guest.signIn(RICH);
  await page.getByRole('link', { name: 'Профиль' }).click();
  await page.getByRole('button', { name: 'Выйти' }).click();
  await page.getByRole('heading', { name: /Ваши бонусы/ }).waitFor();
  assert.equal(
    (await context.cookies()).some((one) => one.name === 'session'),
    false,
  );
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  assert.doesNotMatch(kept, /916|Анна/);
  await page.goBack();
  await page.getByRole('heading', { name: /Ваши бонусы/ }).waitFor();
});

test('everything can be done by keyboard alone', async () => {
  const guest = await on.come(DESKTOP);
  const { page } = guest;
  await page.goto('/sign-in');
  await page.getByLabel('Номер телефона').waitFor();
  await page.keyboard.type('9160000002');
  const challenge = await guest.ask();
  await page.getByLabel('Код из 6 цифр').waitFor();
  await page.keyboard.type(await on.demo.code(challenge));
  await page.getByRole('heading', { name: 'Здравствуйте, Борис' }).waitFor();
  for (let tries = 0; tries < 15; tries += 1) {
    await page.keyboard.press('Tab');
    if ((await page.evaluate(() => document.activeElement?.textContent)) === 'Профиль') break;
  }
  await page.keyboard.press('Enter');
  await page.waitForURL('**/profile');
  await page.waitForFunction(() => document.activeElement?.tagName === 'H1');
});
