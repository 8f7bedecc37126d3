// The demo's own addresses: its guests, the codes it sent, and the sandbox's control. Only the demo serves this folder.

/** @typedef {{ name: string, phone: string, note: string, note_en?: string }} Guest */

/** @type {Promise<{ sandbox_url: string, guests: Guest[], last_codes_url: string }>} */
export const demo = fetch('/demo.json').then((response) => response.json());

/**
 * @param {'GET' | 'POST' | 'PUT' | 'DELETE'} method
 * @param {string} path
 * @param {unknown} [body]
 */
async function control(method, path, body) {
  const { sandbox_url: url } = await demo;
  const response = await fetch(`${url.replace(/\/$/, '')}/sandbox${path}`, {
    method,
    headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? response.statusText);
  return answer;
}

/** The codes sent lately, the newest first. @returns {Promise<{ masked_phone: string, code: string }[]>} */
export async function codes() {
  const { last_codes_url: url } = await demo;
  return (await fetch(url)).json();
}

/** @param {string} phone @param {number} sum kopecks @param {number} [bonuses] kopecks paid with bonuses */
export const purchase = (phone, sum, bonuses = 0) => control('POST', '/till/purchase', { phone, sum, bonus_spent: bonuses });

/** @param {string} phone */
export const refund = (phone) => control('POST', '/till/refund', { phone });

/** @param {{ kind: string, latency_ms?: number, status?: number, operation?: string }} fault */
export const addFault = (fault) => control('POST', '/faults', fault);

export const clearFaults = () => control('DELETE', '/faults');

/** @returns {Promise<{ kind: string, operation: string, latency_ms: number, status: number }[]>} */
export const faults = () => control('GET', '/faults');

/** @param {number} seconds */
export const advanceClock = (seconds) => control('POST', '/clock', { seconds });
