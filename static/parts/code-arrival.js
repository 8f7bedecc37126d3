// How a code reaches the page by itself: out of the text message, or as a call that was confirmed.

import * as api from '../api.js';

/** The code out of the text message, where the browser offers that (WebOTP). @param {AbortSignal} signal @returns {Promise<string | null>} */
export async function fromMessage(signal) {
  if (!('OTPCredential' in window)) return null;
  try {
    const wanted = /** @type {CredentialRequestOptions} */ ({ otp: { transport: ['sms'] }, signal });
    const credential = /** @type {{ code?: string } | null} */ (await navigator.credentials.get(wanted));
    return credential?.code ?? null;
  } catch {
    return null;
  }
}

/**
 * Tells what became of the message until it is settled.
 * @param {string} id
 * @param {AbortSignal} signal
 * @param {(challenge: api.ChallengeState) => void} tell
 */
export async function watchDelivery(id, signal, tell) {
  let pause = 1500;
  while (!signal.aborted) {
    await new Promise((done) => setTimeout(done, pause));
    if (signal.aborted || document.hidden) continue;
    try {
      const challenge = await api.challenge(id, signal);
      tell(challenge);
      if (challenge.delivery === 'confirmed') return;
      if (challenge.delivery !== 'queued' && challenge.channel !== 'guest_call') pause = 5000;
      if (challenge.delivery === 'delivered') return;
    } catch (problem) {
      if (problem instanceof api.Problem && problem.code === 'challenge_invalid') return;
      pause = 5000;
    }
  }
}
