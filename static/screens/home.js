// The first screen: how much, what burns, which level, the card, coupons, what happened lately.

import * as api from '../api.js';
import { h, icon } from '../dom.js';
import { bonusNumber, bonusWord, bonuses, day, dayOf, daysUntil, money, percent } from '../format.js';
import { t } from '../language.js';
import { tellChange, watchBalance } from '../live.js';
import { row } from '../parts/movement.js';
import { cardPicture } from '../parts/qr.js';
import { message } from '../parts/trouble.js';
import { showView } from '../parts/view.js';
import { program } from '../session.js';
import { toast } from '../shell.js';

/** @typedef {api.Home} Home */

/** @type {import('../router.js').Show} */
export default async function home(screen) {
  const heading = h('h1', null, t('home.hello.nameless'));
  screen.root.append(heading);
  /** @type {Home | null} */
  let shown = null;
  const { set, reload } = await showView(screen, {
    key: 'home',
    load: api.home,
    bones: [13, 6, 6, 12],
    draw(view, body) {
      shown = view;
      const name = view.profile?.first_name;
      heading.textContent = name ? t('home.hello', { name }) : t('home.hello.nameless');
      body.append(
        h(
          'div',
          { class: 'home' },
          view.profile?.blocked && blocked(),
          balance(view),
          burn(view),
          card(view, screen.signal),
          level(view),
          coupons(view),
          recent(view),
        ),
      );
    },
  });

  void watchBalance(screen.signal, (balance) => {
    if (!shown || screen.signal.aborted) return;
    const change = shown.balance ? balance.available - shown.balance.available : 0;
    set({ ...shown, balance, as_of: balance.as_of, stale: balance.stale });
    if (change === 0) return;
    screen.root.querySelector('.hero')?.classList.add(change > 0 ? 'rose' : 'fell');
    tellChange(change);
    // The movement itself is not in the event.
    void reload(true);
  });
}

function blocked() {
  return h('p', { class: 'notice-text notice-bad', role: 'note' }, icon('lock'), h('span', null, t('home.blocked')));
}

/** @param {string} text */
function missing(text) {
  return h('section', { class: 'card' }, h('h2', null, text), h('p', { class: 'muted' }, t('home.part')));
}

/** @param {Home} view */
function balance(view) {
  const { balance } = view;
  if (!balance) return missing(t('home.balance'));
  return h(
    'section',
    { class: 'hero', 'aria-labelledby': 'balance-label' },
    h('h2', { id: 'balance-label', class: 'hero-label' }, t(view.profile?.blocked ? 'home.balance.blocked' : 'home.balance')),
    h(
      'p',
      { class: 'hero-sum' },
      h('span', { class: 'hero-number', 'data-balance': balance.available }, bonusNumber(balance.available)),
      ' ',
      h('span', { class: 'hero-word' }, bonusWord(balance.available)),
    ),
    balance.pending > 0 && h('p', { class: 'hero-note' }, t('home.pending', { amount: bonuses(balance.pending) })),
    !view.profile?.blocked && h('a', { class: 'hero-button', href: '/card' }, icon('card'), t('home.show')),
  );
}

/** @param {Home} view */
function burn(view) {
  if (!view.balance) return null;
  const next = view.balance.next_expiry;
  const soon = next && daysUntil(next.expires_on) <= 7;
  const text = next
    ? t(daysUntil(next.expires_on) <= 0 ? 'home.burn.today' : 'home.burn', {
        amount: bonuses(next.amount),
        day: day(next.expires_on),
      })
    : t('home.burn.none');
  return h(
    'a',
    { class: `card burn link ${soon ? 'burn-soon' : ''}`, href: '/burning' },
    h('span', { class: 'dot dot-burn' }, icon('fire')),
    h(
      'span',
      { class: 'row-text' },
      h('span', { class: 'row-title' }, text),
      h('span', { class: 'small muted' }, t('home.burn.all')),
    ),
    h('span', { class: 'row-go' }, icon('next')),
  );
}

/** The card itself, where the screen has room for it. @param {Home} view @param {AbortSignal} signal */
function card(view, signal) {
  if (view.profile?.blocked || !matchMedia('(min-width: 60rem)').matches) return null;
  return h(
    'section',
    { class: 'card home-card' },
    h('h2', null, t('card.title')),
    cardPicture(signal),
    h('p', { class: 'small muted center' }, t('card.lead')),
  );
}

/** @param {Home} view */
function level(view) {
  const level = view.level;
  if (!level) return view.unavailable.includes('level') ? missing(t('home.level')) : null;
  const perks = [
    level.bonus_percent && Number(level.bonus_percent) > 0 && t('home.level.bonus', { percent: percent(level.bonus_percent) }),
    level.discount_percent &&
      Number(level.discount_percent) > 0 &&
      t('home.level.discount', { percent: percent(level.discount_percent) }),
  ];
  return h(
    'section',
    { class: 'card level' },
    h('h2', null, t('home.level')),
    h('p', { class: 'level-name' }, level.name),
    perks.filter(Boolean).map((perk) => h('p', { class: 'muted' }, perk)),
    level.next
      ? progress(level, level.next)
      : program && program.levels.length > 0 && h('p', { class: 'small muted' }, t('home.level.top')),
  );
}

/**
 * @param {NonNullable<Home['level']>} level
 * @param {NonNullable<NonNullable<Home['level']>['next']>} next
 */
function progress(level, next) {
  const from = program?.levels.find((one) => one.name === level.name)?.from_turnover ?? 0;
  const done = Math.max((level.turnover ?? from) - from, 0);
  const label = t('home.level.progress', { name: next.name });
  return h(
    'div',
    { class: 'progress' },
    h('progress', { value: done, max: done + next.remaining, 'aria-label': label }),
    h('p', { class: 'small muted' }, t('home.level.next', { name: next.name, amount: money(next.remaining) })),
  );
}

/** @param {Home} view */
function coupons(view) {
  if (!view.coupons) return missing(t('home.coupons'));
  const items = view.coupons;
  const list =
    items.length > 0 ? h('ul', { class: 'coupons' }, items.map(coupon)) : h('p', { class: 'muted' }, t('home.coupons.none'));
  return h('section', { class: 'card' }, h('h2', null, t('home.coupons')), list);
}

/** @param {NonNullable<Home['coupons']>[number]} one */
function coupon(one) {
  const copy = async () => {
    await navigator.clipboard.writeText(one.code ?? '');
    toast(t('home.coupons.copied'));
  };
  const code =
    one.code &&
    !one.used &&
    h(
      'button',
      { type: 'button', class: 'coupon-code', onclick: copy, 'aria-label': t('home.coupons.copy', { code: one.code }) },
      one.code,
    );
  const until = one.valid_to && t('home.coupons.to', { day: day(dayOf(one.valid_to)) });
  return h(
    'li',
    { class: `coupon ${one.used ? 'coupon-used' : ''}` },
    h(
      'div',
      { class: 'row-text' },
      h('span', { class: 'row-title' }, one.name ?? one.code),
      one.description && h('span', { class: 'small' }, one.description),
      h('span', { class: 'small muted' }, one.used ? t('home.coupons.used') : until),
    ),
    code,
  );
}

/** @param {Home} view */
function recent(view) {
  if (!view.recent) return missing(t('home.recent'));
  const items = view.recent;
  if (items.length === 0)
    return h(
      'section',
      { class: 'card' },
      message({ icon: 'receipt', heading: t('home.recent.none'), hint: t('home.recent.hint') }),
    );
  const head = h(
    'div',
    { class: 'card-head' },
    h('h2', null, t('home.recent')),
    h(
      'a',
      { class: 'quiet', href: '/history' },
      h('span', null, t('home.recent.all'), h('span', { class: 'hidden' }, t('home.recent.all.rest'))),
      icon('next'),
    ),
  );
  return h(
    'section',
    { class: 'card recent' },
    head,
    h(
      'ul',
      { class: 'rows' },
      items.slice(0, 5).map((item) => row(item, { dated: true })),
    ),
  );
}
