// The profile: what may be edited, each error at its field; appearance, devices, the way out.

import * as api from '../api.js';
import { h, icon } from '../dom.js';
import { day } from '../format.js';
import { keep, language, read, t } from '../language.js';
import { busy, checked, field, point, questionnaire } from '../parts/field.js';
import { pretty } from '../parts/phone-input.js';
import { line } from '../parts/trouble.js';
import { forgetView, forgetViews, showView } from '../parts/view.js';
import { go } from '../router.js';
import { program, setSignedIn } from '../session.js';
import { speak, toast } from '../shell.js';

/** @typedef {api.Profile & { tag: string | null }} Tagged */

/** @type {import('../router.js').Show} */
export default async function profile(screen) {
  const data = h('div', { class: 'view' });
  screen.root.append(
    h('h1', null, t('profile.title')),
    h('div', { class: 'sides' }, data, h('div', { class: 'view' }, devices(), page(), out())),
  );
  let edited = false;
  /** @type {Tagged | null} */
  let shown = null;
  /** @type {HTMLElement | null} */
  let form = null;
  const { set } = await showView(
    { ...screen, root: data },
    {
      key: 'profile',
      load: async (reading) => {
        const fresh = await api.profile(reading);
        // What the guest is typing is not replaced under their hands.
        return edited && shown ? { ...shown, as_of: fresh.as_of, stale: fresh.stale } : fresh;
      },
      bones: [30],
      draw(view, body) {
        if (edited && form && shown) {
          body.append(form);
          return;
        }
        shown = view;
        form = edit(view);
        body.append(form);
      },
    },
  );
  /** @param {Tagged} view */
  function edit(view) {
    const asked = program?.form ?? [];
    const fields = questionnaire(
      asked.filter((one) => one.editable),
      view,
    );
    const fixed = asked
      .filter((one) => !one.editable)
      .map((one) => constant(one.label, written(one, view[one.name]), t('profile.fixed')));
    const wrong = h('p', { class: 'form-error', role: 'alert' });
    const submit = h('button', { class: 'button wide' }, t('profile.save'));
    const send = (/** @type {Event} */ event) => {
      event.preventDefault();
      wrong.textContent = '';
      if (checked(fields)) void busy(submit, () => save(view, fields, wrong));
    };
    const typing = () => {
      edited = true;
    };
    return h(
      'form',
      { class: 'card stack', novalidate: true, onsubmit: send, oninput: typing, 'aria-labelledby': 'data' },
      h('h2', { id: 'data' }, t('profile.data')),
      constant(t('profile.phone'), pretty(view.phone), t('profile.phone.hint')),
      fields.map((one) => one.element),
      fixed,
      wrong,
      submit,
    );
  }

  /**
   * @param {Tagged} view
   * @param {import('../parts/field.js').Field[]} fields
   * @param {HTMLElement} wrong
   */
  async function save(view, fields, wrong) {
    const before = /** @type {{ [name: string]: unknown }} */ (view);
    const changes = Object.fromEntries(
      fields.filter((one) => one.value() !== (before[one.name] ?? '')).map((one) => [one.name, one.value() || null]),
    );
    if (Object.keys(changes).length === 0) return toast(t('profile.same'));
    try {
      await api.editProfile(changes, view.tag);
      edited = false;
      forgetView('home');
      set(await api.profile({ signal: screen.signal }));
      toast(t('profile.saved'));
    } catch (problem) {
      if (screen.signal.aborted) return;
      if (problem instanceof api.Problem && problem.code === 'version_mismatch') {
        edited = false;
        set(await api.profile({ fresh: true, signal: screen.signal }));
        return toast(t('profile.changed'));
      }
      const known = problem instanceof api.Problem && !point(fields, problem.fields);
      wrong.textContent = known ? t('field.check') : line(problem);
    }
  }
}

function devices() {
  return h(
    'a',
    { class: 'card row link', href: '/devices' },
    h('span', { class: 'dot' }, icon('device')),
    h(
      'span',
      { class: 'row-text' },
      h('span', { class: 'row-title' }, t('profile.devices')),
      h('span', { class: 'small muted' }, t('profile.devices.hint')),
    ),
    h('span', { class: 'row-go' }, icon('next')),
  );
}

/** @param {string} label @param {string} value @param {string} hint */
function constant(label, value, hint) {
  return h(
    'div',
    { class: 'field' },
    h('span', { class: 'field-label' }, label),
    h('span', { class: 'field-value' }, value),
    h('p', { class: 'field-hint' }, hint),
  );
}

/** A value of the questionnaire in words. @param {import('../parts/field.js').Asked} asked @param {string | null} value */
function written(asked, value) {
  if (value === null) return '—';
  if (asked.type === 'choice') return t(value === 'male' ? 'gender.male' : 'gender.female');
  return asked.type === 'date' ? day(value) : value;
}

/** How the page looks and speaks; kept in this browser. */
function page() {
  const themes = /** @type {const} */ (['system', 'light', 'dark']);
  const now = read('theme') ?? 'system';
  const theme = h(
    'select',
    { onchange: () => dress(theme.value) },
    themes.map((one) => h('option', { value: one, selected: one === now }, t(`profile.theme.${one}`))),
  );
  const tongue = h(
    'select',
    { onchange: () => void speak(tongue.value === 'en' ? 'en' : 'ru') },
    h('option', { value: 'ru', lang: 'ru', selected: language === 'ru' }, 'Русский'),
    h('option', { value: 'en', lang: 'en', selected: language === 'en' }, 'English'),
  );
  return h(
    'section',
    { class: 'card stack' },
    h('h2', null, t('profile.page')),
    field(theme, { name: 'theme', label: t('profile.theme') }).element,
    field(tongue, { name: 'tongue', label: t('profile.language') }).element,
  );
}

/** @param {string} theme */
function dress(theme) {
  keep('theme', theme === 'system' ? null : theme);
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function out() {
  const button = h(
    'button',
    { type: 'button', class: 'button danger wide', onclick: () => void busy(button, leave) },
    t('profile.out'),
  );
  return button;

  async function leave() {
    try {
      await api.signOut();
    } catch (problem) {
      // A session that is gone already is what was wanted; without a connection it would live on, so that is said.
      if (problem instanceof api.Problem && problem.code === 'offline') return toast(line(problem));
    }
    setSignedIn(null);
    forgetViews();
    go('/sign-in', { replace: true });
    toast(t('phone.left'));
  }
}
