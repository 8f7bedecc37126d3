// The live balance: while the page is looked at, the server says when it changes.

import { events } from './api.js';
import { bonuses } from './format.js';
import { t } from './language.js';
import { toast } from './shell.js';

/**
 * Calls `changed` with each new balance until `signal` is aborted. Nothing is asked while the page is in the background.
 * @param {AbortSignal} signal
 * @param {(balance: import('./api.js').Balance) => void} changed
 */
export async function watchBalance(signal, changed) {
  let last = '';
  let pause = 1000;
  while (!signal.aborted) {
    await visible(signal);
    const stop = new AbortController();
    const end = () => stop.abort();
    const hidden = () => document.hidden && end();
    signal.addEventListener('abort', end);
    document.addEventListener('visibilitychange', hidden);
    try {
      for await (const event of events(stop.signal, last)) {
        pause = 1000;
        last = event.id || last;
        if (event.event === 'balance') changed(JSON.parse(event.data));
      }
    } catch {
      // Reconnected below: a lost connection, a restart of the server, a page put into the background.
    } finally {
      signal.removeEventListener('abort', end);
      document.removeEventListener('visibilitychange', hidden);
    }
    // Not all pages at once after the server was away.
    await rest(pause * (0.5 + Math.random()), signal);
    pause = Math.min(pause * 2, 60_000);
  }
}

/** Says what has just moved. @param {number} change kopecks; plus is the guest's gain */
export function tellChange(change) {
  toast(t(change > 0 ? 'home.plus' : 'home.minus', { amount: bonuses(Math.abs(change)) }));
}

/** @param {AbortSignal} signal @returns {Promise<void>} */
function visible(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => {
    document.addEventListener('visibilitychange', () => done(), { once: true, signal });
    signal.addEventListener('abort', () => done(), { once: true });
  });
}

/** @param {number} milliseconds @param {AbortSignal} signal @returns {Promise<void>} */
function rest(milliseconds, signal) {
  return new Promise((done) => {
    setTimeout(done, milliseconds);
    signal.addEventListener('abort', () => done(), { once: true });
  });
}
