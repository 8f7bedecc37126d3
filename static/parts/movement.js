// One movement on the account, as a row.

import { h, icon } from '../dom.js';
import { bonusNumber, dayNamed, dayOf, hour, signed, zoneOf } from '../format.js';
import { t } from '../language.js';

/** @typedef {import('../api.js').Movement} Movement */

/** @type {{ [kind in Movement['kind']]: import('../dom.js').IconName }} */
const ICONS = { accrual: 'plus', spend: 'minus', burn: 'fire', refill: 'gift', refund: 'back_arrow', adjustment: 'pen' };

/**
 * A row; one with a check leads to it.
 * @param {Movement} movement
 * @param {{ dated?: boolean, balance?: boolean }} [options] `dated`: with its day, where rows are not grouped by it
 */
export function row(movement, { dated = false, balance = false } = {}) {
  const zone = zoneOf(movement.restaurant?.code);
  const when = dated ? dayNamed(dayOf(movement.occurred_at, zone)) : hour(movement.occurred_at, zone);
  const where = movement.restaurant?.name ?? movement.comment;
  const amount = h('span', { class: `amount ${movement.amount > 0 ? 'plus' : ''}` }, signed(movement.amount));
  const after =
    balance &&
    movement.balance_after !== null &&
    h('span', { class: 'small muted' }, h('span', { class: 'hidden' }, t('history.after')), bonusNumber(movement.balance_after));
  const inside = [
    h('span', { class: `dot dot-${movement.kind}` }, icon(ICONS[movement.kind])),
    h(
      'span',
      { class: 'row-text' },
      h('span', { class: 'row-title' }, where ?? t(`kind.${movement.kind}`)),
      h('span', { class: 'small muted' }, [where && t(`kind.${movement.kind}`), when].filter(Boolean).join(' · ')),
    ),
    h('span', { class: 'row-end' }, amount, after),
  ];
  const content = movement.check_id
    ? h(
        'a',
        { class: 'row link', href: `/checks/${encodeURIComponent(movement.check_id)}` },
        inside,
        h('span', { class: 'row-go' }, icon('next')),
      )
    : h('div', { class: 'row' }, inside);
  return h('li', { 'data-day': dayOf(movement.occurred_at, zone) }, content);
}
