// When bonuses burn: a chart to see it, a table to read it.

import * as api from '../api.js';
import { h } from '../dom.js';
import { bonusNumber, bonusWord, day, daysUntil } from '../format.js';
import { t } from '../language.js';
import { bars } from '../parts/chart.js';
import { message } from '../parts/trouble.js';
import { showView } from '../parts/view.js';

/** More bars than this say less. */
const MOST_BARS = 12;

/** @type {import('../router.js').Show} */
export default async function burning(screen) {
  screen.root.append(h('h1', null, t('burning.title')), h('p', { class: 'lead' }, t('burning.lead')));
  await showView(screen, {
    key: 'balance',
    load: api.balance,
    bones: [16, 14],
    draw(view, body) {
      if (view.expiring.length === 0) {
        body.append(
          h('div', { class: 'card' }, message({ icon: 'fire', heading: t('burning.none'), hint: t('burning.none.hint') })),
        );
        return;
      }
      const label = t('burning.chart', { n: view.expiring.length });
      body.append(
        h('div', { class: 'card' }, bars(view.expiring.slice(0, MOST_BARS), label)),
        h('div', { class: 'card' }, table(view.expiring)),
      );
    },
  });
}

/** @param {api.Balance['expiring']} days */
function table(days) {
  const total = days.reduce((sum, one) => sum + one.amount, 0);
  const left = (/** @type {string} */ on) => (daysUntil(on) <= 0 ? t('burning.today') : t('burning.days', { n: daysUntil(on) }));
  const head = h(
    'tr',
    null,
    h('th', { scope: 'col' }, t('burning.day')),
    h('th', { scope: 'col' }, t('burning.left')),
    h('th', { scope: 'col', class: 'number' }, t('burning.amount')),
  );
  const rows = days.map((one) =>
    h(
      'tr',
      null,
      h('th', { scope: 'row' }, day(one.expires_on, 'short')),
      h('td', { class: 'muted' }, left(one.expires_on)),
      h('td', { class: 'number' }, amount(one.amount)),
    ),
  );
  const foot = h(
    'tr',
    null,
    h('th', { scope: 'row', colspan: 2 }, t('burning.total')),
    h('td', { class: 'number' }, amount(total)),
  );
  return h('table', null, h('thead', null, head), h('tbody', null, rows), h('tfoot', null, foot));
}

/** With its word where there is room for it. @param {number} sum kopecks */
function amount(sum) {
  return [bonusNumber(sum), h('span', { class: 'roomy' }, `\u00a0${bonusWord(sum)}`)];
}
