// The developer's drawer: sign in as any of the sandbox's guests, ring up purchases, break ProBonus, move time. Demo only.

import * as api from '../api.js';
import { byId, fill, h } from '../dom.js';
import { language } from '../language.js';
import { forgetViews } from '../parts/view.js';
import { again, go } from '../router.js';
import { isSignedIn, setSignedIn } from '../session.js';
import { toast } from '../shell.js';
import * as sandbox from './sandbox.js';

/** @param {string} ru @param {string} en */
const say = (ru, en) => (language === 'ru' ? ru : en);

/** @type {{ kind: string, latency_ms?: number, status?: number, ru: string, en: string }[]} */
const FAULTS = [
  { kind: 'latency', latency_ms: 2000, ru: 'Медленно (2 с)', en: 'Slow (2 s)' },
  { kind: 'hang', ru: 'Не отвечает', en: 'Never answers' },
  { kind: 'status', status: 503, ru: 'Отвечает 503', en: 'Answers 503' },
  { kind: 'garbage', ru: 'Отвечает мусором', en: 'Answers garbage' },
  { kind: 'reset_before', ru: 'Рвёт соединение', en: 'Breaks connections' },
];

const HOUR = 3600;
let phone = '+79160000001';

const sheet = h('link', { rel: 'stylesheet', href: '/developer/drawer.css' });
const drawer = h('dialog', { class: 'drawer', id: 'drawer', 'aria-labelledby': 'drawer-title' });
const opener = h('button', { type: 'button', class: 'drawer-opener', 'aria-haspopup': 'dialog', onclick: open }, 'Demo');
document.head.append(sheet);
byId('language').before(opener);
byId('toasts').before(drawer);
drawer.addEventListener('click', (event) => event.target === drawer && drawer.close());

async function open() {
  await draw();
  drawer.showModal();
}

async function draw() {
  const { guests, sandbox_url: url } = await sandbox.demo;
  const [sent, faults] = await Promise.all([sandbox.codes(), sandbox.faults()]);
  const on =
    faults.length > 0
      ? faults.map((fault) => h('code', null, [fault.kind, fault.operation === '*' ? '' : fault.operation].join(' ')))
      : [say('ProBonus исправен', 'ProBonus is well')];
  fill(
    drawer,
    h(
      'div',
      { class: 'drawer-head' },
      h('h2', { id: 'drawer-title' }, say('Для разработчика', 'For developers')),
      h('button', { type: 'button', class: 'quiet', onclick: () => drawer.close() }, say('Закрыть', 'Close')),
    ),
    section(say('Войти как', 'Sign in as'), h('ul', { class: 'drawer-guests' }, guests.map(guest))),
    section(
      say('Отправленные коды', 'Codes sent'),
      sent.length > 0
        ? h(
            'ul',
            null,
            sent.slice(0, 5).map((one) => h('li', null, `${one.masked_phone} — `, h('code', null, one.code))),
          )
        : h('p', { class: 'muted' }, say('Пока ни одного', 'None yet')),
    ),
    section(
      say('Касса', 'Till'),
      picker(guests),
      h(
        'div',
        { class: 'drawer-row' },
        act(say('Покупка на 1 000 ₽', 'Purchase, 1,000 ₽'), () => sandbox.purchase(phone, 100_000)),
        act(say('Списать 100 бонусов', 'Spend 100 bonuses'), () => sandbox.purchase(phone, 20_000, 10_000)),
        act(say('Вернуть последнюю', 'Refund the last'), () => sandbox.refund(phone)),
      ),
    ),
    section(
      'ProBonus',
      h('p', { class: 'small', role: 'status' }, on),
      h(
        'div',
        { class: 'drawer-row' },
        FAULTS.map(({ ru, en, ...fault }) => act(say(ru, en), () => sandbox.addFault(fault))),
        act(say('Починить', 'Mend'), sandbox.clearFaults),
      ),
    ),
    section(
      say('Время ProBonus', 'ProBonus time'),
      h(
        'div',
        { class: 'drawer-row' },
        act(say('+1 час', '+1 hour'), () => sandbox.advanceClock(HOUR)),
        act(say('+1 день', '+1 day'), () => sandbox.advanceClock(24 * HOUR)),
        act(say('+30 дней', '+30 days'), () => sandbox.advanceClock(30 * 24 * HOUR)),
      ),
    ),
    section(
      say('Ещё', 'More'),
      h(
        'p',
        null,
        h('a', { href: '/docs/', target: '_blank' }, 'Swagger UI'),
        ' · ',
        h('a', { href: url, target: '_blank', rel: 'noopener' }, say('Песочница', 'Sandbox')),
      ),
    ),
  );
}

/** @param {string} title @param {...import('../dom.js').Child} children */
function section(title, ...children) {
  return h('section', null, h('h3', null, title), ...children);
}

/** @param {sandbox.Guest} one */
function guest(one) {
  const note = language === 'ru' ? one.note : (one.note_en ?? one.note);
  return h(
    'li',
    null,
    h(
      'button',
      { type: 'button', class: 'drawer-guest', onclick: () => void signInAs(one) },
      h('strong', null, one.name),
      h('span', { class: 'small' }, `${one.phone} · ${note}`),
    ),
  );
}

/** @param {sandbox.Guest[]} guests */
function picker(guests) {
  const select = h(
    'select',
    { 'aria-label': say('Чья покупка', 'Whose purchase'), onchange: () => (phone = select.value) },
    guests.map((one) => h('option', { value: one.phone, selected: one.phone === phone }, one.name)),
  );
  return select;
}

/** @param {string} text @param {() => Promise<unknown>} work */
function act(text, work) {
  return h('button', { type: 'button', class: 'chip', onclick: run }, text);

  async function run() {
    try {
      await work();
      toast(text);
    } catch (error) {
      toast(String(error));
    }
    await draw();
  }
}

/** The whole sign-in in one go: the code is taken from the demo's own list. @param {sandbox.Guest} one */
async function signInAs(one) {
  try {
    if (isSignedIn()) await api.signOut();
    setSignedIn(null);
    forgetViews();
    const before = await sandbox.codes();
    const challenge = await api.askForCode(one.phone);
    const code = await sentTo(challenge.masked_phone, before);
    const { account_state: state } = await api.verifyCode(challenge.challenge_id, code, 'Demo');
    phone = one.phone;
    setSignedIn(state === 'absent' ? 'new' : 'guest');
    drawer.close();
    if (location.pathname === '/') again();
    else go('/', { replace: true });
  } catch (problem) {
    toast(String(problem));
    go('/sign-in', { replace: true });
  }
}

/** The code that has come since. @param {string} masked @param {{ masked_phone: string, code: string }[]} before */
async function sentTo(masked, before) {
  const old = before.find((one) => one.masked_phone === masked)?.code;
  for (let tries = 0; tries < 40; tries += 1) {
    const found = (await sandbox.codes()).find((one) => one.masked_phone === masked);
    if (found && found.code !== old) return found.code;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(say('Код не появился', 'No code has come'));
}
