// The history: by kind and period, day by day, further back as the guest scrolls.

import * as api from '../api.js';
import { h } from '../dom.js';
import { dayHeading, dayOf } from '../format.js';
import { t } from '../language.js';
import { row } from '../parts/movement.js';
import { line, message } from '../parts/trouble.js';
import { recall, remember, showView } from '../parts/view.js';
import { busy } from '../parts/field.js';
import { toast } from '../shell.js';

const KINDS = /** @type {const} */ (['accrual', 'spend', 'burn', 'refill', 'refund', 'adjustment']);
const PERIODS = /** @type {const} */ (['month', 'quarter', 'year', 'own']);

/** What was chosen last; it holds while the page is open. */
const chosen = { kind: /** @type {'' | typeof KINDS[number]} */ (''), period: /** @type {typeof PERIODS[number]} */ ('year'), from: '', to: '' };

/** @type {import('../router.js').Show} */
export default async function history(screen) {
  const place = h('div', { class: 'view' });
  screen.root.append(h('h1', null, t('history.title')), h('div', { class: 'sides' }, filters(), place));
  let current = new AbortController();
  await list();

  function filters() {
    const kinds = h('div', { class: 'chips', role: 'group', 'aria-label': t('history.kind') }, [chip(''), ...KINDS.map(chip)]);
    const own = h('div', { class: 'own-period', hidden: chosen.period !== 'own' }, date('from'), date('to'));
    const select = h(
      'select',
      { id: 'period', onchange: () => period(select.value, own) },
      PERIODS.map((one) => h('option', { value: one, selected: one === chosen.period }, t(`history.period.${one}`))),
    );
    return h(
      'div',
      { class: 'filters' },
      kinds,
      h('div', { class: 'period' }, h('label', { for: 'period', class: 'hidden' }, t('history.period')), select),
      own,
    );
  }

  /** @param {'' | typeof KINDS[number]} kind */
  function chip(kind) {
    return h(
      'button',
      { type: 'button', class: 'chip', 'aria-pressed': chosen.kind === kind ? 'true' : 'false', onclick: pick },
      t(`history.kind.${kind || 'all'}`),
    );

    /** @param {Event} event */
    function pick(event) {
      chosen.kind = kind;
      const button = /** @type {HTMLElement} */ (event.currentTarget);
      for (const other of button.parentElement?.children ?? []) other.setAttribute('aria-pressed', String(other === button));
      void list();
    }
  }

  /** @param {string} value @param {HTMLElement} own */
  function period(value, own) {
    chosen.period = /** @type {typeof PERIODS[number]} */ (value);
    own.hidden = value !== 'own';
    if (value !== 'own' || chosen.from || chosen.to) void list();
  }

  /** @param {'from' | 'to'} end */
  function date(end) {
    const input = h('input', {
      type: 'date',
      id: `period-${end}`,
      value: chosen[end],
      onchange: () => ((chosen[end] = input.value), void list()),
    });
    return h('div', { class: 'field' }, h('label', { for: input.id }, t(`history.${end}`)), input);
  }

  async function list() {
    current.abort();
    current = new AbortController();
    const { signal } = current;
    screen.signal.addEventListener('abort', () => current.abort(), { signal });
    place.replaceChildren();
    const filter = filterOf();
    const key = `history ${JSON.stringify(filter)}`;
    await showView(
      { ...screen, root: place, signal },
      {
        key,
        load: async (reading) => joined(await api.history(filter, reading), recall(key)),
        bones: [4.5, 4.5, 4.5, 4.5, 4.5],
        draw: (view, body) => draw(view, body, filter, key, signal),
      },
    );
  }
}

/** @returns {NonNullable<api.Query<'/api/v1/me/transactions', 'get'>>} */
function filterOf() {
  const kind = chosen.kind || undefined;
  const back = { month: 30, quarter: 91, year: 0, own: 0 }[chosen.period];
  const from = back > 0 ? dayOf(new Date(Date.now() - back * 86_400_000).toISOString()) : undefined;
  if (chosen.period !== 'own') return { from, kind, limit: 20 };
  return { from: chosen.from || undefined, to: chosen.to || undefined, kind, limit: 20 };
}

/**
 * The newest page with the older ones that are known already: whoever looks again is where they were.
 * @param {api.History} newest
 * @param {api.History | undefined} shown
 * @returns {api.History}
 */
function joined(newest, shown) {
  const seam = shown?.items.findIndex((item) => item.id === newest.items.at(-1)?.id) ?? -1;
  if (!shown || seam < 0 || seam === shown.items.length - 1) return newest;
  return { ...newest, items: [...newest.items, ...shown.items.slice(seam + 1)], next_cursor: shown.next_cursor };
}

/**
 * @param {api.History} first
 * @param {HTMLElement} body
 * @param {ReturnType<typeof filterOf>} filter
 * @param {string} key
 * @param {AbortSignal} signal
 */
function draw(first, body, filter, key, signal) {
  if (first.items.length === 0) {
    body.append(
      h('div', { class: 'card' }, message({ icon: 'receipt', heading: t('history.none'), hint: t('history.none.hint') })),
    );
    return;
  }
  const days = h('div', { class: 'days' });
  const more = h(
    'button',
    { type: 'button', class: 'button second wide', onclick: () => void busy(more, next) },
    t('history.more'),
  );
  const end = h('p', { class: 'small muted center' }, t('history.end'));
  let cursor = first.next_cursor;
  let all = first;
  body.append(days, more, end);
  add(first);

  /** @param {api.History} page */
  function add(page) {
    for (const item of page.items) {
      const line = row(item, { balance: true });
      listOf(days, line.dataset.day ?? '').append(line);
    }
    cursor = page.next_cursor;
    more.hidden = !cursor;
    end.hidden = Boolean(cursor);
  }

  async function next() {
    if (!cursor) return;
    try {
      const page = await api.history({ ...filter, cursor }, { signal });
      add(page);
      all = { ...all, items: [...all.items, ...page.items], next_cursor: page.next_cursor };
      remember(key, all);
      toast(t('history.loaded', { n: page.items.length }));
    } catch (problem) {
      if (!signal.aborted) toast(line(problem));
    }
  }

  // The next page comes before the guest reaches the end; the button is for keyboards and for a second try.
  const watcher = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && more.click(), {
    rootMargin: '300px',
  });
  watcher.observe(more);
  signal.addEventListener('abort', () => watcher.disconnect());
}

/** The list of a day, made when it is the first of it. @param {HTMLElement} days @param {string} date */
function listOf(days, date) {
  const last = days.lastElementChild;
  const kept = last instanceof HTMLElement && last.dataset.day === date && last.querySelector('ul');
  if (kept) return kept;
  const list = h('ul', { class: 'rows card' });
  days.append(h('section', { 'data-day': date }, h('h2', { class: 'day' }, dayHeading(date)), list));
  return list;
}
