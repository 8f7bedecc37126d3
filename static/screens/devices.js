// Devices: where the guest is signed in, and ending what is not theirs.

import * as api from '../api.js';
import { fill, h, icon } from '../dom.js';
import { moment } from '../format.js';
import { t } from '../language.js';
import { isDesktop } from '../parts/device-name.js';
import { busy } from '../parts/field.js';
import { line, skeleton, trouble } from '../parts/trouble.js';
import { toast } from '../shell.js';

/** @typedef {api.Sessions['items'][number]} Session */

/** @type {import('../router.js').Show} */
export default async function devices({ root, signal }) {
  const body = h('div', { class: 'view' }, skeleton(5, 5));
  root.append(
    h('a', { class: 'quiet back', href: '/profile' }, icon('back'), t('profile.title')),
    h('h1', null, t('devices.title')),
    h('p', { class: 'lead' }, t('devices.lead')),
    body,
  );
  void load();

  async function load() {
    try {
      const { items } = await api.sessions({ signal });
      const others = items.filter((session) => !session.current);
      const end = h(
        'button',
        {
          type: 'button',
          class: 'button second wide',
          onclick: () => void busy(end, () => act(api.endOtherSessions, t('devices.others.done'))),
        },
        t('devices.others'),
      );
      fill(
        body,
        h('ul', { class: 'rows card' }, items.map(device)),
        others.length > 0 ? end : h('p', { class: 'small muted center' }, t('devices.only')),
      );
    } catch (problem) {
      if (!signal.aborted)
        fill(
          body,
          trouble(problem, () => void load()),
        );
    }
  }

  /** @param {Session} session */
  function device(session) {
    const name = session.device_name ?? t('devices.nameless');
    const button = h(
      'button',
      {
        type: 'button',
        class: 'quiet',
        'aria-label': t('devices.end.of', { name }),
        onclick: () => void busy(button, () => act(() => api.endSession(session.id), t('devices.ended'))),
      },
      t('devices.end'),
    );
    const seen = session.current ? t('devices.current') : t('devices.seen', { moment: moment(session.last_seen_at) });
    return h(
      'li',
      null,
      h(
        'div',
        { class: 'row' },
        h('span', { class: `dot ${session.current ? 'dot-accrual' : ''}` }, icon(isDesktop(session.device_name) ? 'laptop' : 'device')),
        h(
          'span',
          { class: 'row-text' },
          h('span', { class: 'row-title' }, name),
          h('span', { class: 'small muted' }, seen),
          h('span', { class: 'small muted' }, t('devices.since', { moment: moment(session.created_at) })),
        ),
        !session.current && button,
      ),
    );
  }

  /** @param {() => Promise<unknown>} end @param {string} done */
  async function act(end, done) {
    try {
      await end();
      toast(done);
      await load();
      root.querySelector('h1')?.focus();
    } catch (problem) {
      toast(line(problem));
    }
  }
}
