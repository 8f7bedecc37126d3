// A form's field: label, hint, and its error where it belongs. And the questionnaire, which is the operator's.

import { h } from '../dom.js';
import { today } from '../format.js';
import { t } from '../language.js';

/** @typedef {{ element: HTMLElement, input: HTMLElement, name: string, value: () => string, fail: (text: string) => void, check: () => string }} Field */
/** @typedef {import('../api.js').Program['form'][number]} Asked */

/** How browsers fill each field by themselves. @type {{ [name: string]: string }} */
const AUTOFILL = {
  first_name: 'given-name',
  last_name: 'family-name',
  middle_name: 'additional-name',
  birthday: 'bday',
  email: 'email',
  gender: 'sex',
};

/**
 * Puts a label, a hint and a place for the error around an input.
 * @param {HTMLInputElement | HTMLSelectElement} input
 * @param {{ name: string, label: string, hint?: string, check?: () => string, place?: HTMLElement, live?: boolean }} options
 *   `place`: what the input stands in; `live`: its error is read aloud although the focus stays where it is
 * @returns {Field}
 */
export function field(input, { name, label, hint, check = () => '', place = input, live = false }) {
  input.id = `field-${name}`;
  input.setAttribute('name', name);
  const error = h('p', { class: 'field-error', id: `error-${name}`, role: live && 'alert' });
  const described = [hint && `hint-${name}`, `error-${name}`].filter(Boolean).join(' ');
  input.setAttribute('aria-describedby', described);
  const element = h(
    'div',
    { class: 'field' },
    h('label', { for: input.id }, label),
    place,
    hint && h('p', { class: 'field-hint', id: `hint-${name}` }, hint),
    error,
  );
  const fail = (/** @type {string} */ text) => {
    error.textContent = text;
    element.classList.toggle('wrong', text !== '');
    if (text) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  };
  input.addEventListener('input', () => fail(''));
  return { element, input, name, value: () => input.value.trim(), fail, check };
}

/**
 * A field of the questionnaire.
 * @param {Asked} asked
 * @param {string | null} value
 */
function question(asked, value) {
  const given = { value: value ?? '', autocomplete: AUTOFILL[asked.name] ?? 'off', required: asked.required, disabled: false };
  /** @type {HTMLInputElement | HTMLSelectElement} */
  let input;
  if (asked.type === 'choice') {
    input = h(
      'select',
      { autocomplete: given.autocomplete },
      h('option', { value: '' }, t('gender.none')),
      h('option', { value: 'female', selected: value === 'female' }, t('gender.female')),
      h('option', { value: 'male', selected: value === 'male' }, t('gender.male')),
    );
  } else {
    const type = asked.type === 'date' ? 'date' : asked.type === 'email' ? 'email' : 'text';
    input = h('input', {
      type,
      ...given,
      disabled: false,
      maxlength: asked.max_length,
      pattern: asked.pattern,
      min: type === 'date' && '1900-01-01',
      max: type === 'date' && today(),
    });
  }
  if (asked.required) input.setAttribute('aria-required', 'true');
  input.removeAttribute('required');
  const label = asked.required ? asked.label : `${asked.label} · ${t('optional')}`;
  return field(input, { name: asked.name, label, check: () => wrong(asked, input) });
}

/**
 * What the browser can see is wrong; the server sees the rest.
 * @param {Asked} asked
 * @param {HTMLInputElement | HTMLSelectElement} input
 */
function wrong(asked, input) {
  const text = input.value.trim();
  if (input.validity.badInput || input.validity.rangeUnderflow || input.validity.rangeOverflow) return t('field.birthday');
  if (text === '') return asked.required ? t('field.required') : '';
  if (asked.type === 'email' && input.validity.typeMismatch) return t('field.email');
  if (asked.max_length && text.length > asked.max_length) return t('field.length');
  if (input.validity.patternMismatch) return t('field.pattern');
  return '';
}

/**
 * The questionnaire with `values` in it.
 * @param {Asked[]} form
 * @param {{ [name: string]: unknown }} values
 * @returns {Field[]}
 */
export function questionnaire(form, values) {
  return form.map((asked) => question(asked, /** @type {string | null} */ (values[asked.name] ?? null)));
}

/**
 * Shows the browser's own findings; whether there are none.
 * @param {Field[]} fields
 */
export function checked(fields) {
  return point(fields, new Map(fields.map((one) => [one.name, one.check()])));
}

/**
 * Shows each message at its field and goes to the first; whether there was none.
 * @param {Field[]} fields
 * @param {Map<string, string>} messages
 */
export function point(fields, messages) {
  for (const one of fields) one.fail(messages.get(one.name) ?? '');
  const first = fields.find((one) => messages.get(one.name));
  first?.input.focus();
  return !first;
}

/**
 * A button that shows it is at work and cannot be pressed twice meanwhile; it keeps the focus.
 * @param {HTMLButtonElement} button
 * @param {() => Promise<void>} work
 */
export async function busy(button, work) {
  if (button.getAttribute('aria-busy') === 'true') return;
  button.setAttribute('aria-busy', 'true');
  try {
    await work();
  } finally {
    button.removeAttribute('aria-busy');
  }
}
