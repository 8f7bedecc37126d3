// Signing in, step one: whose phone it is.

import * as api from '../api.js';
import { h, icon } from '../dom.js';
import { t } from '../language.js';
import { busy, field } from '../parts/field.js';
import { digitsOf, isWhole, masked, pretty } from '../parts/phone-input.js';
import { line } from '../parts/trouble.js';
import { go } from '../router.js';
import { phone as known, setPhone, setWaiting } from '../session.js';

/** @type {import('../router.js').Show} */
export default function phone({ root }) {
  const input = h('input', {
    type: 'tel',
    inputmode: 'tel',
    autocomplete: 'tel',
    placeholder: '+7 916 000-00-00',
    maxlength: 32,
    class: 'large',
    value: pretty(known),
  });
  masked(input);
  const number = field(input, { name: 'phone', label: t('phone.label') });
  const submit = h('button', { class: 'button wide' }, t('phone.submit'));
  const form = h(
    'form',
    { class: 'stack', novalidate: true, onsubmit: send },
    number.element,
    submit,
    h('p', { class: 'small muted center' }, t('phone.note')),
  );
  root.append(
    h(
      'div',
      { class: 'card door' },
      h('h1', null, t('phone.heading')),
      h('p', { class: 'lead' }, t('phone.lead')),
      form,
    ),
    promises(),
  );
  input.focus({ preventScroll: true });

  /** @param {SubmitEvent} event */
  function send(event) {
    event.preventDefault();
    const value = digitsOf(input.value);
    if (!isWhole(value)) {
      number.fail(t('phone.short'));
      input.focus();
      return;
    }
    void busy(submit, async () => {
      try {
        setWaiting(await api.askForCode(value));
        setPhone(value);
        go('/code');
      } catch (problem) {
        number.fail((problem instanceof api.Problem && problem.fields.get('phone')) || line(problem));
        input.focus();
      }
    });
  }
}

/** What the cabinet is good for. */
function promises() {
  const promise = (/** @type {import('../dom.js').IconName} */ name, /** @type {string} */ text) =>
    h('li', null, h('span', { class: 'dot dot-accrual' }, icon(name)), h('span', null, text));
  return h(
    'ul',
    { class: 'promises' },
    promise('gift', t('phone.promise.balance')),
    promise('card', t('phone.promise.card')),
    promise('receipt', t('phone.promise.history')),
  );
}
