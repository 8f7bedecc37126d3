// What stays on the page whatever the screen: the brand, the tabs, the language, the notice and the toasts.

import { byId, fill, h, icon } from './dom.js';
import { language, setLanguage, t } from './language.js';
import { again } from './router.js';
import { program } from './session.js';
import * as api from './api.js';
import { setProgram } from './session.js';

/** @type {{ path: string, icon: import('./dom.js').IconName, text: 'tab.home' | 'tab.history' | 'tab.card' | 'tab.profile' }[]} */
const TABS = [
  { path: '/', icon: 'home', text: 'tab.home' },
  { path: '/history', icon: 'history', text: 'tab.history' },
  { path: '/card', icon: 'card', text: 'tab.card' },
  { path: '/profile', icon: 'person', text: 'tab.profile' },
];

/** Which tab a screen belongs to where it has none of its own. @type {{ [path: string]: string }} */
const UNDER = { '/burning': '/', '/devices': '/profile' };

/** Draws what is always there; again when the language or the programme changes. */
export function drawShell() {
  byId('skip').textContent = t('skip');
  if (program) {
    byId('brand-name').textContent = program.name;
    drawLogo();
  }
  const tabs = byId('tabs');
  tabs.setAttribute('aria-label', t('tabs'));
  fill(
    tabs,
    TABS.map((tab) => h('a', { class: 'tab', href: tab.path }, icon(tab.icon), h('span', null, t(tab.text)))),
  );
  const other = byId('language');
  other.textContent = t('language.other');
  other.lang = language === 'ru' ? 'en' : 'ru';
  other.setAttribute('aria-label', t('language.label'));
  other.hidden = false;
  other.onclick = () => void speak(language === 'ru' ? 'en' : 'ru');
  mark(location.pathname);
}

function drawLogo() {
  const address = document.querySelector('meta[name=logo]')?.getAttribute('content');
  if (address) document.getElementById('brand-mark')?.replaceWith(h('img', { class: 'brand-logo', src: address, alt: '' }));
}

/** Changes the language of everything, the programme's words among it. @param {import('./language.js').Language} wanted */
export async function speak(wanted) {
  await setLanguage(wanted);
  await api.program().then(setProgram, () => undefined);
  drawShell();
  again();
}

/**
 * Shows which tab this is, or no tabs at all.
 * @param {string} path
 * @param {boolean} visible
 */
export function markTab(path, visible) {
  byId('tabs').hidden = !visible;
  document.body.classList.toggle('with-tabs', visible);
  mark(path);
}

/** @param {string} path */
function mark(path) {
  const own = path.startsWith('/checks/') ? '/history' : (UNDER[path] ?? path);
  for (const tab of byId('tabs').querySelectorAll('a')) {
    if (tab.pathname === own) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
}

/**
 * Says above everything that what is shown may be old, and why.
 * @param {'stale' | 'offline'} kind
 * @param {string} text
 */
export function notice(kind, text) {
  const place = byId('notice');
  if (place.textContent === text) return;
  fill(place, h('p', { class: `notice-text notice-${kind}` }, icon('cloud'), h('span', null, text)));
}

export function clearNotice() {
  byId('notice').replaceChildren();
}

/** Says something for a moment. @param {string} text */
export function toast(text) {
  const message = h('p', { class: 'toast' }, text);
  byId('toasts').replaceChildren(message);
  setTimeout(() => message.remove(), 5000);
}
