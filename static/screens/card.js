// The card: what the till reads, as large as the screen allows.

import * as api from '../api.js';
import { h } from '../dom.js';
import { countdown } from '../format.js';
import { t } from '../language.js';
import { tellChange, watchBalance } from '../live.js';
import { pretty } from '../parts/phone-input.js';
import { cardPicture } from '../parts/qr.js';
import { showView } from '../parts/view.js';

/** The screen stays lit while the card is shown, where browsers can do that. @param {AbortSignal} signal */
async function stayLit(signal) {
  try {
    const lock = await navigator.wakeLock.request('screen');
    if (signal.aborted) await lock.release();
    else signal.addEventListener('abort', () => void lock.release());
  } catch {
    // Not possible here, or not now: the hint about brightness is there.
  }
}

/** @type {import('../router.js').Show} */
export default async function card(screen) {
  screen.root.append(h('h1', null, t('card.title')));
  void stayLit(screen.signal);
  const { reload } = await showView(screen, {
    key: 'card',
    load: /** @returns {Promise<api.Card & import('../parts/view.js').Dated>} */ (reading) => api.card(reading),
    bones: [28],
    draw(view, body) {
      const lives = h('p', { class: 'small muted center' });
      body.append(
        h(
          'div',
          { class: 'card pass' },
          h('p', { class: 'center' }, t('card.lead')),
          cardPicture(screen.signal),
          h('p', { class: 'pass-label' }, t(isPhone(view.identifier) ? 'profile.phone' : 'card.identifier')),
          h('p', { class: 'pass-number' }, pretty(view.identifier)),
          lives,
          h('p', { class: 'small muted center' }, t('card.bright')),
        ),
      );
      if (view.refresh_in !== null) renew(view.refresh_in, lives);
    },
  });

  // Whoever stands at the till sees at once what came of it.
  let before = NaN;
  void watchBalance(screen.signal, ({ available }) => {
    if (available !== before && !Number.isNaN(before)) tellChange(available - before);
    before = available;
  });

  /** A temporary code is asked for anew before it ends. @param {number} seconds @param {HTMLElement} lives */
  function renew(seconds, lives) {
    const until = Date.now() + seconds * 1000;
    const clock = setInterval(() => {
      const left = Math.max(Math.ceil((until - Date.now()) / 1000), 0);
      lives.textContent = t('card.lives', { time: countdown(left) });
      if (left > 0 && lives.isConnected) return;
      clearInterval(clock);
      if (lives.isConnected) void reload();
    }, 1000);
    screen.signal.addEventListener('abort', () => clearInterval(clock));
  }
}

/** @param {string} identifier */
function isPhone(identifier) {
  return /^\+\d+$/.test(identifier);
}
