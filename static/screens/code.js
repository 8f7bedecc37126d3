// Signing in, step two: the code, or the call that stands for it.

import * as api from '../api.js';
import { fill, h, icon } from '../dom.js';
import { countdown } from '../format.js';
import { t } from '../language.js';
import { busy, field } from '../parts/field.js';
import { codeInput } from '../parts/code-input.js';
import { deviceName } from '../parts/device-name.js';
import { line } from '../parts/trouble.js';
import { go } from '../router.js';
import { phone, setSignedIn, setWaiting, takeWanted, waiting } from '../session.js';
import { toast } from '../shell.js';
import { fromMessage, watchDelivery } from '../parts/code-arrival.js';

/** @typedef {import('../session.js').Waiting} Waiting */

/** @type {import('../router.js').Show} */
export default function code({ root, signal }) {
  let challenge = /** @type {Waiting} */ (waiting());
  /** The number to be called, once it is known. @type {string | undefined} */
  let dial;
  /** Ends waiting for a code that is over, or replaced by a newer one. */
  let listening = new AbortController();
  const cells = codeInput((text) => void verify(text));
  const { input } = cells;
  const digits = field(input, { name: 'code', label: t('code.label', { n: challenge.code_length }), place: cells.element, live: true });
  const heading = h('h1', null);
  const sent = h('p', { class: 'lead', id: 'code-sent' });
  const delivery = h('p', { class: 'small muted delivery', role: 'status' });
  const lives = h('p', { class: 'small muted' });
  const resend = h('button', { type: 'button', onclick: () => again() });
  const others = h('div', { class: 'others' });
  const entry = h('div', { class: 'code-entry' });
  const form = h(
    'form',
    {
      class: 'stack',
      novalidate: true,
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void verify(input.value);
      },
    },
    entry,
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

  const clock = setInterval(tick, 1000);
  signal.addEventListener('abort', () => {
    clearInterval(clock);
    listening.abort();
  });
  draw();
  watch();

  /** Waits for the code to come by itself. */
  function watch() {
    listening.abort();
    listening = new AbortController();
    void fromMessage(listening.signal).then((text) => {
      if (!text) return;
      cells.put(text);
      void verify(input.value);
    });
    void watchDelivery(challenge.challenge_id, listening.signal, arrived);
  }

  function draw() {
    const call = challenge.channel === 'guest_call';
    sent.textContent = t(`code.${challenge.channel}`, {
      phone: challenge.masked_phone.replaceAll(' ', '\u00a0').replaceAll('-', '\u2011'),
    });
    heading.textContent = t(call ? 'code.heading.call' : 'code.heading');
    safe.hidden = call;
    if (!call) cells.resize(challenge.code_length);
    digits.element.querySelector('label')?.replaceChildren(t('code.label', { n: challenge.code_length }));
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
    const over = left === 0;
    const byCall = ['guest_call', 'flash_call'].includes(challenge.channel);
    lives.textContent = over ? '' : t('code.lives', { time: countdown(left) });
    resend.textContent = over
      ? t('code.new')
      : pause > 0
        ? t('code.resend.in', { time: countdown(pause) })
        : t(byCall ? 'code.recall' : 'code.resend');
    resend.className = over ? 'button wide' : 'quiet';
    resend.toggleAttribute('disabled', pause > 0 && !over);
    input.disabled = over;
    others.hidden = over;
    for (const chip of others.querySelectorAll('button')) chip.toggleAttribute('disabled', pause > 0);
    if (over) listening.abort();
    if (over && !digits.element.classList.contains('wrong')) digits.fail(t('code.over'));
  }

  /** @param {api.Channel} [channel] */
  function again(channel) {
    const over = Date.now() - challenge.asked_at >= challenge.expires_in * 1000;
    if (over && !phone) {
      setWaiting(null);
      return go('/sign-in');
    }
    void busy(resend, async () => {
      try {
        const asked = over ? api.askForCode(phone) : api.resendCode(challenge.challenge_id, channel);
        challenge = keep(await asked);
        digits.fail('');
        dial = undefined;
        toast(t(over ? 'code.renewed' : 'code.resent'));
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
    if (text.length !== challenge.code_length || form.getAttribute('aria-busy') === 'true') return;
    form.setAttribute('aria-busy', 'true');
    delivery.textContent = t('code.checking');
    try {
      const { account_state: state } = await api.verifyCode(challenge.challenge_id, text, deviceName());
      setSignedIn(state === 'absent' ? 'new' : 'guest');
      setWaiting(null);
      go(state === 'absent' ? '/sign-up' : takeWanted(), { replace: true });
    } catch (problem) {
      cells.clear();
      failed(problem);
    } finally {
      form.removeAttribute('aria-busy');
      delivery.textContent = '';
    }
  }

  /** @param {unknown} problem */
  function failed(problem) {
    const left = problem instanceof api.Problem ? problem.attemptsLeft : undefined;
    const over = problem instanceof api.Problem && (problem.code === 'challenge_invalid' || left === 0);
    if (over) {
      challenge = { ...challenge, expires_in: 0 };
      setWaiting(challenge);
    }
    digits.fail(left === 0 ? t('code.spent') : left ? `${line(problem)}. ${t('code.attempts', { n: left })}` : line(problem));
    tick();
    if (over) resend.focus();
    else input.focus();
  }


  /** @param {api.ChallengeState} now */
  function arrived(now) {
    const { delivery: state, dial: number, channel, code_length } = now;
    // A call that could not be told from a stranger's goes on as a code.
    if (number !== dial || channel !== challenge.channel || code_length !== challenge.code_length) {
      dial = number;
      challenge = { ...challenge, channel, code_length };
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
