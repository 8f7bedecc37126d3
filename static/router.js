// From a path to its screen: who may see it, its title, where the focus goes, what is stopped when it is left.

import { fill, byId, h } from './dom.js';
import { t } from './language.js';
import { isNew, isSignedIn, program, waiting, want } from './session.js';
import { clearNotice, markTab } from './shell.js';
import { absent } from './parts/trouble.js';

/** @typedef {{ root: HTMLElement, id: string, signal: AbortSignal }} Screen `signal` is aborted when the screen is left. */
/** @typedef {(screen: Screen) => void | Promise<void>} Show */
/** @typedef {'stranger' | 'guest' | 'anyone'} Who */

/** @type {{ path: string, title: import('./language.js').Texts extends infer T ? keyof T : never, who: Who, load: () => Promise<{ default: Show }> }[]} */
export const screens = [
  { path: '/sign-in', title: 'phone.title', who: 'stranger', load: () => import('./screens/phone.js') },
  { path: '/code', title: 'code.title', who: 'stranger', load: () => import('./screens/code.js') },
  { path: '/sign-up', title: 'signup.title', who: 'guest', load: () => import('./screens/sign-up.js') },
  { path: '/', title: 'home.title', who: 'guest', load: () => import('./screens/home.js') },
  { path: '/history', title: 'history.title', who: 'guest', load: () => import('./screens/history.js') },
  { path: '/burning', title: 'burning.title', who: 'guest', load: () => import('./screens/burning.js') },
  { path: '/card', title: 'card.title', who: 'guest', load: () => import('./screens/card.js') },
  { path: '/profile', title: 'profile.title', who: 'guest', load: () => import('./screens/profile.js') },
  { path: '/devices', title: 'devices.title', who: 'guest', load: () => import('./screens/devices.js') },
  { path: '/checks/', title: 'check.title', who: 'guest', load: () => import('./screens/check.js') },
];

let leaving = new AbortController();
let first = true;

/** Where the guest had scrolled to, when they come back to it. */
let scrolled = 0;

/**
 * Goes to a screen.
 * @param {string} path
 * @param {{ replace?: boolean }} [options]
 */
export function go(path, { replace = false } = {}) {
  if (replace) history.replaceState(null, '', path);
  else if (path !== location.pathname) {
    history.replaceState({ scrolled: scrollY }, '');
    history.pushState(null, '', path);
  }
  scrolled = 0;
  void route();
}

/** Follows links and the browser's buttons, and shows the first screen. */
export function start() {
  history.scrollRestoration = 'manual';
  addEventListener('popstate', (event) => {
    scrolled = Number(event.state?.scrolled) || 0;
    void route();
  });
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element && event.target.closest('a');
    const plain =
      !event.defaultPrevented && event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || link.target || link.origin !== location.origin || !find(link.pathname) || link.hash) return;
    event.preventDefault();
    go(link.pathname);
  });
  void route();
}

/** Shows the same screen anew, in another language for one. */
export function again() {
  void route(false);
}

/** @param {string} path */
function find(path) {
  return screens.find(
    (screen) => screen.path === path || (screen.path.length > 1 && screen.path.endsWith('/') && path.startsWith(screen.path)),
  );
}

/** Where the guest belongs instead, if not here. @param {Who} who @param {string} path */
function elsewhere(who, path) {
  if (who === 'guest' && !isSignedIn()) {
    want(path);
    return '/sign-in';
  }
  if (who === 'stranger' && isSignedIn()) return '/';
  if (path === '/code' && !waiting()) return '/sign-in';
  if (who === 'guest' && isNew() && !['/sign-up', '/devices'].includes(path)) return '/sign-up';
  if (path === '/sign-up' && !isNew()) return '/';
  return null;
}

async function route(focus = true) {
  // An address typed or linked with a slash at its end is the same screen's.
  const path = location.pathname.replace(/(.)\/$/, '$1');
  const screen = find(path);
  const other = screen && elsewhere(screen.who, path);
  if (other) return go(other, { replace: true });

  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const root = h('div', { class: `screen ${screen ? `screen-${nameOf(screen.path)}` : ''}` });
  clearNotice();
  markTab(path, isSignedIn() && !isNew());
  document.title = program
    ? t('title', { screen: t(screen?.title ?? 'absent'), name: program.name })
    : t(screen?.title ?? 'absent');
  if (screen) {
    const shown = await screen.load().catch(() => null);
    if (signal.aborted) return;
    if (!shown) return location.reload();
    fill(byId('main'), root);
    await shown.default({ root, id: decodeURIComponent(path.slice(screen.path.length)), signal });
  } else {
    fill(byId('main'), root);
    root.append(absent());
  }
  if (signal.aborted) return;
  if (focus && !first) focusOn(root);
  first = false;
}

/** Readers are told the new screen's heading; a screen may have put the focus into a field already. @param {HTMLElement} root */
function focusOn(root) {
  scrollTo(0, scrolled);
  if (root.contains(document.activeElement)) return;
  const heading = root.querySelector('h1');
  heading?.setAttribute('tabindex', '-1');
  heading?.focus({ preventScroll: true });
}

/** @param {string} path */
function nameOf(path) {
  return path.replaceAll('/', '') || 'home';
}
