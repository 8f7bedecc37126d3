// What is shown instead of a view: waiting, nothing there, something wrong, no connection.

import { Problem } from '../api.js';
import { h, icon } from '../dom.js';
import { t } from '../language.js';

/**
 * A calm full-width message.
 * @param {{ icon: import('../dom.js').IconName, heading: string, hint?: string, more?: import('../dom.js').Leaf[] }} options
 */
export function message({ icon: name, heading, hint, more = [] }) {
  return h(
    'div',
    { class: 'message' },
    h('div', { class: 'message-icon' }, icon(name)),
    h('h2', null, heading),
    hint && h('p', null, hint),
    ...more,
  );
}

/** What to say about a problem. @param {unknown} problem @returns {{ heading: string, hint?: string, icon: import('../dom.js').IconName }} */
function words(problem) {
  const { code, title, retryAfter } = problem instanceof Problem ? problem : new Problem('internal', '');
  if (code === 'offline') return { heading: t('offline'), hint: t('offline.hint'), icon: 'cloud' };
  if (code === 'upstream_unavailable' || code === 'upstream_invalid')
    return { heading: t('down'), hint: t('down.hint'), icon: 'cloud' };
  if (code === 'too_many_requests' || code === 'overloaded') {
    return { heading: title || t('busy'), hint: retryAfter ? t('wait', { n: retryAfter }) : undefined, icon: 'clock' };
  }
  if (code === 'account_blocked') return { heading: title, hint: t('home.blocked'), icon: 'lock' };
  if (code === 'internal') return { heading: t('wrong'), hint: t('wrong.hint'), icon: 'cloud' };
  return { heading: title || t('wrong'), icon: 'cloud' };
}

/**
 * Instead of a view that could not be loaded.
 * @param {unknown} problem
 * @param {() => void} retry
 */
export function trouble(problem, retry) {
  const id = problem instanceof Problem && problem.code === 'internal' ? problem.requestId : undefined;
  // Asking again opens no blocked account.
  const final = problem instanceof Problem && problem.code === 'account_blocked';
  const more = final ? [] : [h('button', { type: 'button', class: 'button', onclick: retry }, t('retry'))];
  return h(
    'div',
    { class: 'card', role: 'alert' },
    message({ ...words(problem), more }),
    id && h('p', { class: 'small muted center' }, t('request', { id })),
  );
}

/** One line about a problem, for forms. @param {unknown} problem */
export function line(problem) {
  const { heading, hint } = words(problem);
  return problem instanceof Problem && problem.code !== 'validation_failed' && hint ? `${heading}. ${hint}` : heading;
}

/** A page that does not exist. */
export function absent() {
  const more = [h('a', { class: 'button', href: '/' }, t('absent.home'))];
  return h(
    'div',
    { class: 'card' },
    h('h1', { class: 'hidden' }, t('absent')),
    message({ icon: 'receipt', heading: t('absent'), hint: t('absent.hint'), more }),
  );
}

/** Grey shapes while a view is on its way. @param {...number} heights in rem */
export function skeleton(...heights) {
  const shapes = heights.map((height) => {
    const shape = h('div', { class: 'bone' });
    shape.style.setProperty('--height', `${height}rem`);
    return shape;
  });
  return h('div', { class: 'skeleton', 'aria-busy': 'true' }, h('span', { class: 'hidden' }, t('loading')), shapes);
}
