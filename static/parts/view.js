// A view of the guest's: shows what is known at once, asks for what is true now, and says when it is from.

import { Problem } from '../api.js';
import { fill, h, icon } from '../dom.js';
import { moment } from '../format.js';
import { t } from '../language.js';
import { go } from '../router.js';
import { programKnown, setSignedIn } from '../session.js';
import { clearNotice, notice, toast } from '../shell.js';
import { skeleton, trouble } from './trouble.js';

/** What was last shown, for this page only: it is gone with the tab and when the guest leaves. @type {Map<string, any>} */
const known = new Map();

export function forgetViews() {
  known.clear();
}

/** @param {string} key */
export function forgetView(key) {
  known.delete(key);
}

/** What is remembered of a view. @param {string} key */
export function recall(key) {
  return known.get(key);
}

/** Remembers more of a view than is asked for anew. @param {string} key @param {Dated} view */
export function remember(key, view) {
  known.set(key, view);
}

/** What a view says, whenever it was said. @param {unknown} view */
function content(view) {
  return JSON.stringify(view, (name, value) => (name === 'as_of' || name === 'stale' ? undefined : value));
}

/** Draws anew without taking the focus away. @param {HTMLElement} body @param {() => void} draw */
function redraw(body, draw) {
  const places = () => /** @type {HTMLElement[]} */ ([...body.querySelectorAll('a, button, input, select')]);
  const place = places().findIndex((one) => one === document.activeElement);
  body.replaceChildren();
  draw();
  if (place >= 0) places()[place]?.focus({ preventScroll: true });
}

/** @typedef {{ as_of?: string, stale?: boolean }} Dated the card is made by us and has no date */

/**
 * @template {Dated} View
 * @param {import('../router.js').Screen} screen
 * @param {object} options
 * @param {string} options.key what it is remembered by
 * @param {(reading: import('../api.js').Reading) => Promise<View>} options.load
 * @param {(view: View, body: HTMLElement) => void} options.draw
 * @param {number[]} options.bones heights of the shapes shown while it loads, in rem
 * @param {(problem: unknown) => HTMLElement | null} [options.refused] what a problem is shown as, when it is a special one
 * @returns {Promise<{ set: (view: View) => void, reload: (fresh?: boolean) => Promise<void> }>}
 */
export async function showView(screen, { key, load, draw, bones, refused }) {
  const { signal } = screen;
  const since = h('span', null);
  const button = h(
    'button',
    { type: 'button', class: 'quiet refresh', onclick: () => void ask(true, true) },
    icon('refresh'),
    h('span', null, t('fresh.refresh')),
  );
  const bar = h('div', { class: 'freshness', hidden: true }, since, button);
  const body = h('div', { class: 'view' }, skeleton(...bones));
  screen.root.append(bar, body);
  let running = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let later;
  let drawn = '';
  /** How often in a row only the last known was shown. */
  let misses = 0;

  /** @param {View} view */
  function set(view) {
    known.set(key, view);
    const now = content(view);
    if (now !== drawn) redraw(body, () => draw(view, body));
    drawn = now;
    dated(view);
  }

  /** @param {View} view */
  function dated(view) {
    bar.hidden = !view.as_of;
    if (!view.as_of) return;
    since.textContent = t('fresh.at', { moment: moment(view.as_of) });
    if (view.stale) notice('stale', t('stale', { moment: moment(view.as_of) }));
    else clearNotice();
  }

  /** @param {boolean} fresh whether ProBonus is to be asked again @param {boolean} [aloud] whether the guest wanted that */
  async function ask(fresh, aloud = false) {
    if (running) return;
    running = true;
    button.setAttribute('aria-busy', 'true');
    const asked = load({ fresh, signal });
    const answer = await Promise.all([asked, programKnown]).then(
      ([view]) => ({ view }),
      (/** @type {unknown} */ problem) => ({ problem }),
    );
    running = false;
    button.removeAttribute('aria-busy');
    if (signal.aborted) return;
    clearTimeout(later);
    if ('problem' in answer) {
      failed(answer.problem);
      return again(answer.problem instanceof Problem ? answer.problem.retryAfter : undefined);
    }
    set(answer.view);
    // A slow answer comes a moment later than the last one known is shown for it.
    if (answer.view.stale) again(misses++ ? 15 : 3);
    else misses = 0;
    if (aloud && !answer.view.stale) toast(t('fresh.done'));
  }

  /** Asks again by itself, so that the page comes back when ProBonus does. @param {number} [seconds] */
  function again(seconds = 15) {
    later = setTimeout(() => void (document.hidden || ask(false)), Math.max(seconds, 3) * 1000 * (1 + Math.random() / 2));
  }
  signal.addEventListener('abort', () => clearTimeout(later));

  /** @param {unknown} problem */
  function failed(problem) {
    const code = problem instanceof Problem ? problem.code : 'internal';
    if (code === 'account_absent') {
      setSignedIn('new');
      go('/sign-up', { replace: true });
    } else if (known.has(key)) {
      const since = known.get(key).as_of;
      const words = code === 'offline' ? 'offline.shown' : 'stale';
      notice(
        code === 'offline' ? 'offline' : 'stale',
        since ? t(words, { moment: moment(since) }) : t(code === 'offline' ? 'offline' : 'down'),
      );
    } else {
      drawn = '';
      fill(body, refused?.(problem) ?? trouble(problem, () => void ask(false)));
    }
  }

  addEventListener('online', () => void ask(false), { signal });
  addEventListener('offline', () => failed(new Problem('offline', '')), { signal });
  document.addEventListener('visibilitychange', () => void (document.hidden || ask(false)), { signal });
  if (known.has(key)) set(known.get(key));
  // The screen stands; what it waits for comes when it comes.
  const first = ask(false);
  void first;
  return { set, reload: (fresh = false) => ask(fresh) };
}
