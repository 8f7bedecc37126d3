// One check, as the paper one looks: dishes, then what was paid and how.

import * as api from '../api.js';
import { h, icon } from '../dom.js';
import { bonuses, moment, money, quantity, signed, zoneOf } from '../format.js';
import { t } from '../language.js';
import { message } from '../parts/trouble.js';
import { showView } from '../parts/view.js';
import { program } from '../session.js';

/** @type {import('../router.js').Show} */
export default async function check(screen) {
  screen.root.append(
    h('a', { class: 'quiet back', href: '/history' }, icon('back'), t('check.back')),
    h('h1', { class: 'hidden' }, t('check.title')),
  );
  await showView(screen, {
    key: `check ${screen.id}`,
    load: (reading) => api.check(screen.id, reading),
    bones: [32],
    draw: (view, body) => body.append(receipt(view)),
    refused(problem) {
      if (!(problem instanceof api.Problem) || problem.code !== 'not_found') return null;
      return h('div', { class: 'card' }, message({ icon: 'receipt', heading: t('check.absent'), hint: t('check.absent.hint') }));
    },
  });
}

/** @param {api.Check} view */
function receipt(view) {
  const zone = zoneOf(view.restaurant?.code);
  const address = program?.restaurants.find((one) => one.code === view.restaurant?.code)?.address;
  const when = view.closed_at ?? view.opened_at;
  return h(
    'article',
    { class: 'receipt' },
    h(
      'header',
      null,
      h('h2', null, view.restaurant?.name ?? t('check.nameless')),
      address && h('p', { class: 'small muted' }, address),
      h(
        'p',
        { class: 'small muted' },
        [view.number && t('check.number', { number: view.number }), when && moment(when, zone)].filter(Boolean).join(' · '),
      ),
    ),
    view.items.length > 0 ? dishes(view.items) : h('p', { class: 'muted center' }, t('check.empty')),
    h(
      'dl',
      { class: 'sums' },
      sum(t('check.total'), view.total, money),
      sum(t('check.discount'), view.discount && -view.discount, minus),
      sum(t('check.bonus_spent'), view.bonus_spent && -view.bonus_spent, (amount) => `−${bonuses(-amount)}`),
      sum(t('check.money_spent'), view.money_spent, money, 'sum-total'),
      sum(
        t('check.bonus_accrued'),
        view.bonus_accrued,
        (amount) => (amount > 0 ? `+${bonuses(amount)}` : signed(amount)),
        'sum-plus',
      ),
    ),
  );
}

/** @param {number} amount */
function minus(amount) {
  return `−${money(-amount)}`;
}

/** @param {api.Check['items']} items */
function dishes(items) {
  const dish = (/** @type {api.Check['items'][number]} */ item) => {
    const many = item.quantity !== null && item.price !== null && Number(item.quantity) !== 1;
    const detail = many && item.quantity && item.price ? `${quantity(item.quantity)} × ${money(item.price)}` : null;
    const less = item.discount ? `${t('check.discount')} ${minus(-item.discount)}` : null;
    const notes = [detail, less].filter(Boolean).join(' · ');
    return h(
      'tr',
      null,
      h('th', { scope: 'row' }, item.name ?? '—', notes && h('span', { class: 'small muted dish-note' }, notes)),
      h('td', { class: 'number' }, item.amount === null ? '' : money(item.amount)),
    );
  };
  const head = h(
    'thead',
    { class: 'hidden' },
    h('tr', null, h('th', { scope: 'col' }, t('check.dish')), h('th', { scope: 'col' }, t('check.amount'))),
  );
  return h('table', { class: 'dishes' }, head, h('tbody', null, items.map(dish)));
}

/**
 * A line of the check; none for what is not known or nothing.
 * @param {string} name
 * @param {number | null} amount
 * @param {(amount: number) => string} written
 * @param {string} [kind]
 */
function sum(name, amount, written, kind = '') {
  if (amount === null || amount === 0) return null;
  return h('div', { class: kind }, h('dt', null, name), h('dd', null, written(amount)));
}
