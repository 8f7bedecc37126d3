// Signing in, step two: the code, or the call that stands for it.

import * as api from '../api.js';
import { fill, h, icon } from '../dom.js';
import { countdown } from '../format.js';
import { t } from '../language.js';
import { busy, field } from '../parts/field.js';
import { line } from '../parts/trouble.js';
import { go } from '../router.js';
import { setSignedIn, setWaiting, takeWanted, waiting } from '../session.js';
import { toast } from '../shell.js';
import { fromMessage, watchDelivery } from '../parts/code-arrival.js';

/** @typedef {import('../session.js').Waiting} Waiting */

/** @type {import('../router.js').Show} */
export default function code({ root, signal }) {
  let challenge = /** @type {Waiting} */ (waiting());
  let length = challenge.code_length;
  /** The number to be called, once it is known. @type {string | undefined} */
  let dial;
  let watching = false;
  const input = h('input', {
    type: 'text',
    inputmode: 'numeric',
    autocomplete: 'one-time-code',
    class: 'code',
    spellcheck: 'false',
  });
  const digits = field(input, { name: 'code', label: '' });
  const heading = h('h1', null);
  const sent = h('p', { class: 'lead', id: 'code-sent' });
  const delivery = h('p', { class: 'small muted delivery', role: 'status' });
  const attempts = h('p', { class: 'small', role: 'status' });
  const lives = h('p', { class: 'small muted' });
  const resend = h('button', { type: 'button', class: 'quiet', onclick: () => again() });
  const others = h('div', { class: 'others' });
  const entry = h('div', { class: 'code-entry' });
  const form = h(
    'form',
    {
      class: 'stack',
      novalidate: true,
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        if (input.value.length === length) void verify(input.value);
      },
    },
    entry,
    attempts,
    delivery,
  );
  const safe = h('p', { class: 'small muted center' }, t('code.safe'));
  const change = h('a', { class: 'quiet', href: '/sign-in', onclick: () => setWaiting(null) }, t('code.change'));
  root.append(
    h(
      'div',
      { class: 'card door' },
      h('div', { class: 'door-mark' }, icon('phone')),
      heading,
      sent,
      form,
      h('div', { class: 'stack center' }, resend, others, lives, change),
      safe,
    ),
  );

  input.addEventListener('input', () => {
    input.value = input.value.replace(/\D/g, '').slice(0, length);
    if (input.value.length === length) void verify(input.value);
  });
  const clock = setInterval(tick, 1000);
  signal.addEventListener('abort', () => clearInterval(clock));
  draw();
  void fromMessage(signal).then((text) => (text?.length === length ? verify((input.value = text)) : undefined));
  watch();

  function watch() {
    if (watching) return;
    watching = true;
    void watchDelivery(challenge.challenge_id, signal, arrived).finally(() => (watching = false));
  }

  function draw() {
    const call = challenge.channel === 'guest_call';
    sent.textContent = t(`code.${challenge.channel}`, {
      phone: challenge.masked_phone.replaceAll(' ', '\u00a0').replaceAll('-', '\u2011'),
    });
    heading.textContent = t(call ? 'code.heading.call' : 'code.heading');
    safe.hidden = call;
    length = challenge.code_length;
    input.maxLength = length;
    input.pattern = `[0-9]{${length}}`;
    const label = digits.element.querySelector('label');
    if (label) label.textContent = t('code.label', { n: length });
    fill(entry, call ? calling() : digits.element);
    fill(others, elsewhere());
    if (!call) input.focus({ preventScroll: true });
    tick();
  }

  /** Instead of a field, when the guest calls: the number, and nothing to type. */
  function calling() {
    return h(
      'div',
      { class: 'calling' },
      dial && h('a', { class: 'button wide', href: `tel:${dial}` }, icon('phone'), `${t('code.call')} ${dial}`),
      h('p', { class: 'muted', role: 'status' }, t('code.calling')),
    );
  }

  function elsewhere() {
    const channels = challenge.channels.filter((channel) => channel !== challenge.channel);
    if (channels.length === 0) return [];
    const one = (/** @type {api.Channel} */ channel) =>
      h(
        'button',
        { type: 'button', class: 'chip', 'data-channel': channel, onclick: () => again(channel) },
        t(`code.by.${channel}`),
      );
    return [h('p', { class: 'small muted' }, t('code.elsewhere')), h('div', { class: 'chips' }, channels.map(one))];
  }

  function tick() {
    const passed = Math.floor((Date.now() - challenge.asked_at) / 1000);
    const left = Math.max(challenge.expires_in - passed, 0);
    const pause = Math.max(challenge.resend_in - passed, 0);
    lives.textContent = left > 0 ? t('code.lives', { time: countdown(left) }) : t('code.over');
    resend.textContent =
      left === 0 ? t('code.new') : pause > 0 ? t('code.resend.in', { time: countdown(pause) }) : t('code.resend');
    resend.toggleAttribute('disabled', pause > 0 && left > 0);
    for (const chip of others.querySelectorAll('button')) chip.toggleAttribute('disabled', pause > 0);
  }

  /** @param {api.Channel} [channel] */
  function again(channel) {
    if (Date.now() - challenge.asked_at >= challenge.expires_in * 1000) {
      setWaiting(null);
      return go('/sign-in');
    }
    void busy(resend, async () => {
      try {
        challenge = keep(await api.resendCode(challenge.challenge_id, channel));
        digits.fail('');
        toast(t('code.resent'));
        draw();
        watch();
      } catch (problem) {
        failed(problem);
      }
    });
  }

  /** @param {api.Challenge} answer @returns {Waiting} */
  function keep(answer) {
    setWaiting(answer);
    return { ...answer, asked_at: Date.now() };
  }

  /** @param {string} text */
  async function verify(text) {
    if (form.getAttribute('aria-busy') === 'true') return;
    form.setAttribute('aria-busy', 'true');
    delivery.textContent = t('code.checking');
    try {
      const { account_state: state } = await api.verifyCode(challenge.challenge_id, text, deviceName());
      setSignedIn(state === 'absent' ? 'new' : 'guest');
      setWaiting(null);
      go(state === 'absent' ? '/sign-up' : takeWanted(), { replace: true });
    } catch (problem) {
      input.value = '';
      failed(problem);
    } finally {
      form.removeAttribute('aria-busy');
      delivery.textContent = '';
    }
  }

  /** @param {unknown} problem */
  function failed(problem) {
    digits.fail(line(problem));
    input.focus();
    if (!(problem instanceof api.Problem)) return;
    if (problem.attemptsLeft !== undefined) attempts.textContent = t('code.attempts', { n: problem.attemptsLeft });
    if (problem.code === 'challenge_invalid') {
      challenge = { ...challenge, expires_in: 0 };
      attempts.textContent = '';
      tick();
    }
  }

  /** @param {api.ChallengeState} now */
  function arrived(now) {
    const { delivery: state, dial: number } = now;
    if (number !== dial) {
      dial = number;
      draw();
    }
    // What could not be sent may be asked for again at once.
    if (state === 'failed' && now.resend_in === 0) {
      challenge = { ...challenge, resend_in: 0 };
      tick();
    }
    // A confirmed call stands for the code: there is nothing to type.
    if (state === 'confirmed') void verify('');
    else delivery.textContent = challenge.channel === 'guest_call' && state !== 'failed' ? '' : t(`code.${state}`);
  }
}

/** What the guest will recognise this browser by: `Chrome, Android`. */
function deviceName() {
  const agent = navigator.userAgent;
  const browser = /YaBrowser/.test(agent)
    ? 'Yandex'
    : /Edg\//.test(agent)
      ? 'Edge'
      : /Firefox/.test(agent)
        ? 'Firefox'
        : /Chrome|CriOS/.test(agent)
          ? 'Chrome'
          : /Safari/.test(agent)
            ? 'Safari'
            : 'Web';
  const system = /iPhone/.test(agent)
    ? 'iPhone'
    : /iPad/.test(agent)
      ? 'iPad'
      : /Android/.test(agent)
        ? 'Android'
        : /Windows/.test(agent)
          ? 'Windows'
          : /Mac/.test(agent)
            ? 'Mac'
            : /Linux/.test(agent)
              ? 'Linux'
              : '';
  return [browser, system].filter(Boolean).join(', ');
}
