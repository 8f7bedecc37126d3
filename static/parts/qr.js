// The card's QR, as the server draws it.

import * as api from '../api.js';
import { h } from '../dom.js';
import { t } from '../language.js';

/**
 * A place where the picture appears. It always stands on white: tills read dark on light.
 * @param {AbortSignal} signal
 */
export function cardPicture(signal) {
  const place = h('div', { class: 'qr', 'aria-busy': 'true' });
  void load(place, signal);
  return place;
}

/** @param {HTMLElement} place @param {AbortSignal} signal */
async function load(place, signal) {
  try {
    const address = URL.createObjectURL(await api.cardPicture({ signal }));
    const picture = h('img', { src: address, alt: t('card.alt'), width: 240, height: 240 });
    picture.addEventListener('load', () => URL.revokeObjectURL(address), { once: true });
    place.replaceChildren(picture);
  } catch {
    place.replaceChildren(h('p', { class: 'small' }, t('home.part')));
  } finally {
    place.removeAttribute('aria-busy');
  }
}
