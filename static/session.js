// What the page knows between screens: the programme, whether somebody is signed in here, and which code is being waited for.
// The session itself is a cookie that no script can read; kept is only the hint that there is one, and nothing about the guest.

import { keep, read } from './language.js';

/** @typedef {import('./api.js').Program} Program */
/** @typedef {import('./api.js').Challenge} Challenge */

/** @type {Program | null} */
export let program = null;

/** How long views wait for the programme, in milliseconds. */
export const PATIENCE = 1500;

/** @type {() => void} */
let known;

/** Resolves when the programme is known, or when views should be drawn without waiting for it any longer. @type {Promise<void>} */
export const programKnown = new Promise((done) => {
  known = done;
  setTimeout(done, PATIENCE);
});

/** @param {Program} loaded */
export function setProgram(loaded) {
  program = loaded;
  known();
}

/** Where the guest wanted to go before they had to sign in. */
let wanted = '/';

/** @param {string} path */
export function want(path) {
  wanted = path;
}

/** Once. */
export function takeWanted() {
  const path = wanted;
  wanted = '/';
  return path;
}

/** Whether this browser was signed in when it was last told. */
export function isSignedIn() {
  return read('signed-in') !== null;
}

/**
 * Whether the guest still has to sign up.
 */
export function isNew() {
  return read('signed-in') === 'new';
}

/** @param {'guest' | 'new' | null} state */
export function setSignedIn(state) {
  phone = '';
  keep('signed-in', state);
}

/** The number a code was last asked for, while the page is open: nobody types it twice. */
export let phone = '';

/** @param {string} number */
export function setPhone(number) {
  phone = number;
}

/** @typedef {Challenge & { asked_at: number }} Waiting */

/** @type {Waiting | null} */
let asked = null;

/** The code being waited for; survives a reload of this tab. @returns {Waiting | null} */
export function waiting() {
  try {
    const text = sessionStorage.getItem('challenge');
    return text ? JSON.parse(text) : null;
  } catch {
    return asked;
  }
}

/** @param {Challenge | null} challenge */
export function setWaiting(challenge) {
  asked = challenge && { ...challenge, asked_at: Date.now() };
  try {
    if (asked) sessionStorage.setItem('challenge', JSON.stringify(asked));
    else sessionStorage.removeItem('challenge');
  } catch {
    // Storage is switched off: it holds until the page is closed.
  }
}
