// Signing up: the operator's questionnaire and one box per document, none ticked for the guest.

import * as api from '../api.js';
import { h } from '../dom.js';
import { t } from '../language.js';
import { busy, checked, point, questionnaire } from '../parts/field.js';
import { line, skeleton, trouble } from '../parts/trouble.js';
import { again, go } from '../router.js';
import { program, setProgram, setSignedIn } from '../session.js';
import { drawShell, toast } from '../shell.js';

/** @type {import('../router.js').Show} */
export default async function signUp({ root, signal }) {
  if (!program) {
    root.append(skeleton(3, 20));
    try {
      setProgram(await api.program());
      drawShell();
    } catch (problem) {
      return root.replaceChildren(trouble(problem, again));
    }
    if (signal.aborted) return;
    root.replaceChildren();
  }
  const fields = questionnaire(program?.form ?? [], {});
  const consents = (program?.documents ?? []).map(consent);
  const wrong = h('p', { class: 'form-error', role: 'alert' });
  const submit = h('button', { class: 'button wide' }, t('signup.submit'));
  const form = h(
    'form',
    { class: 'stack', novalidate: true, onsubmit: send },
    fields.map((one) => one.element),
    consents.length > 0 &&
      h(
        'fieldset',
        { class: 'consents' },
        h('legend', null, t('signup.consents')),
        consents.map((one) => one.element),
      ),
    wrong,
    submit,
  );
  root.append(
    h(
      'div',
      { class: 'card door wide-door' },
      h('h1', null, t('signup.heading')),
      h('p', { class: 'lead' }, t('signup.lead')),
      form,
    ),
  );

  /** @param {SubmitEvent} event */
  function send(event) {
    event.preventDefault();
    wrong.textContent = '';
    const right = checked(fields);
    const missing = consents.filter((one) => !one.check());
    if (!right || missing.length > 0) {
      if (right) missing[0]?.box.focus();
      return;
    }
    void busy(submit, register);
  }

  async function register() {
    const answers = Object.fromEntries(fields.map((one) => [one.name, one.value()]).filter(([, value]) => value !== ''));
    const agreed = consents
      .filter((one) => one.box.checked)
      .map((one) => ({ document: one.document.id, version: one.document.version }));
    try {
      await api.signUp({ .../** @type {Omit<api.Registration, 'consents'>} */ (answers), consents: agreed });
      toast(t('signup.done'));
    } catch (problem) {
      // Signed up a moment ago, on another device perhaps: welcome all the same.
      if (!(problem instanceof api.Problem) || problem.code !== 'account_exists') {
        wrong.textContent = line(problem);
        if (problem instanceof api.Problem) point(fields, problem.fields);
        return;
      }
    }
    setSignedIn('guest');
    go('/', { replace: true });
  }
}

/** @param {api.Program['documents'][number]} document */
function consent(document) {
  const id = `consent-${document.id}`;
  const box = h('input', {
    type: 'checkbox',
    id,
    'aria-describedby': `${id}-error`,
    'aria-required': document.required ? 'true' : null,
  });
  const error = h('p', { class: 'field-error', id: `${id}-error` });
  const read = h(
    'a',
    { href: document.url, target: '_blank', rel: 'noopener', class: 'small' },
    t('document.read'),
    h('span', { class: 'hidden' }, ` «${document.title}», ${t('document.opens')}`),
  );
  const label = h('label', { for: id }, document.title, !document.required && h('span', { class: 'muted' }, ` · ${t('optional')}`));
  const element = h('div', { class: 'consent' }, box, h('div', null, label, ' ', read, error));
  const check = () => {
    const right = box.checked || !document.required;
    error.textContent = right ? '' : t('signup.consent');
    box.toggleAttribute('aria-invalid', !right);
    return right;
  };
  box.addEventListener('change', () => error.textContent && check());
  return { document, element, box, check };
}
