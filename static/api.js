// The only file that talks to the server. Every call, its arguments and its answer, as the contract has them.
//
// The session is a cookie, so each call carries `X-Cabinet: 1`: no other site can make a browser send that.

import { language } from './language.js';

/** @typedef {import('./types/api.js').paths} Paths */
/**
 * The JSON that a call answers with.
 * @template {keyof Paths} Path
 * @template {keyof Paths[Path]} Method
 * @template {number} [Status=200]
 * @typedef {Paths[Path][Method] extends { responses: { [status in Status]: { content: { 'application/json': infer Body } } } } ? Body : never} Answer
 */
/**
 * The JSON that a call takes.
 * @template {keyof Paths} Path
 * @template {keyof Paths[Path]} Method
 * @typedef {Paths[Path][Method] extends { requestBody: { content: { 'application/json': infer Body } } } ? Body : never} Request
 */
/** @typedef {Answer<'/api/v1/program', 'get'>} Program */
/** @typedef {Answer<'/api/v1/auth/challenges', 'post', 202>} Challenge */
/** @typedef {Answer<'/api/v1/auth/challenges/{id}', 'get'>} ChallengeState */
/** @typedef {Answer<'/api/v1/me/home', 'get'>} Home */
/** @typedef {Answer<'/api/v1/me/profile', 'get'>} Profile */
/** @typedef {Answer<'/api/v1/me/balance', 'get'>} Balance */
/** @typedef {Answer<'/api/v1/me/transactions', 'get'>} History */
/** @typedef {History['items'][number]} Movement */
/** @typedef {Answer<'/api/v1/me/checks/{id}', 'get'>} Check */
/** @typedef {Answer<'/api/v1/me/card', 'get'>} Card */
/** @typedef {Answer<'/api/v1/me/sessions', 'get'>} Sessions */
/** @typedef {Request<'/api/v1/me/registration', 'post'>} Registration */
/** @typedef {NonNullable<Challenge['channels'][number]>} Channel */

/** What went wrong, as the server's problem document says; `offline` when it could not be reached at all. */
export class Problem extends Error {
  /**
   * @param {string} code
   * @param {string} title
   * @param {{ errors?: { field: string, message: string }[], retry_after?: number, attempts_left?: number, request_id?: string }} [more]
   */
  constructor(code, title, more = {}) {
    super(title);
    this.code = code;
    this.title = title;
    this.fields = new Map((more.errors ?? []).map((error) => [error.field, error.message]));
    this.retryAfter = more.retry_after;
    this.attemptsLeft = more.attempts_left;
    this.requestId = more.request_id;
  }
}

/** @typedef {{ fresh?: boolean, signal?: AbortSignal }} Reading `fresh` asks ProBonus again, as pulling to refresh does. */

/**
 * @param {string} method
 * @param {string} path
 * @param {{ body?: unknown, headers?: { [name: string]: string } } & Reading} [options]
 * @returns {Promise<Response>}
 */
async function send(method, path, { body, headers = {}, fresh, signal } = {}) {
  /** @type {{ [name: string]: string }} */
  const all = { Accept: 'application/json', 'Accept-Language': language, 'X-Cabinet': '1', ...headers };
  if (body !== undefined) all['Content-Type'] ??= 'application/json';
  if (fresh) all['Cache-Control'] = 'no-cache';
  let response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      headers: all,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      credentials: 'same-origin',
      cache: fresh ? 'no-cache' : 'no-store',
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem('offline', '');
  }
  if (!response.ok) throw await problem(response);
  return response;
}

/** @param {Response} response */
async function problem(response) {
  try {
    const document = await response.json();
    if (response.status === 401) dispatchEvent(new Event('signed-out'));
    return new Problem(document.code, document.title, document);
  } catch {
    return new Problem('internal', '', { retry_after: Number(response.headers.get('Retry-After')) || undefined });
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {Parameters<typeof send>[2]} [options]
 */
async function json(method, path, options) {
  return (await send(method, path, options)).json();
}

/** @returns {Promise<Program>} */
export const program = () => json('GET', '/program');

// Signing in

/** @param {string} phone @param {Channel} [channel] @returns {Promise<Challenge>} */
export const askForCode = (phone, channel) => json('POST', '/auth/challenges', { body: { phone, channel, platform: 'web' } });

/** @param {string} id @param {Channel} [channel] @returns {Promise<Challenge>} */
export const resendCode = (id, channel) => json('POST', `/auth/challenges/${encodeURIComponent(id)}/resend`, { body: { channel } });

/** @param {string} id @param {AbortSignal} signal @returns {Promise<ChallengeState>} */
export const challenge = (id, signal) => json('GET', `/auth/challenges/${encodeURIComponent(id)}`, { signal });

/**
 * @param {string} id
 * @param {string} code
 * @param {string} device what the guest will recognise this browser by
 * @returns {Promise<{ account_state: 'active' | 'absent' | 'unresolved' }>}
 */
export const verifyCode = (id, code, device) =>
  json('POST', `/auth/challenges/${encodeURIComponent(id)}/verify`, { body: { code, session: 'cookie', device_name: device } });

export const signOut = () => send('POST', '/auth/logout');

/** @param {Registration} registration @returns {Promise<Profile>} */
export const signUp = (registration) => json('POST', '/me/registration', { body: registration });

// What a guest sees

/** @param {Reading} reading @returns {Promise<Home>} */
export const home = (reading) => json('GET', '/me/home', reading);

/** @param {Reading} reading @returns {Promise<Balance>} */
export const balance = (reading) => json('GET', '/me/balance', reading);

/**
 * @param {{ from?: string, to?: string, kind?: string, cursor?: string, limit?: number }} filter
 * @param {Reading} reading
 * @returns {Promise<History>}
 */
export function history(filter, reading) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) {
    if (value !== undefined && value !== '') query.set(name, String(value));
  }
  return json('GET', `/me/transactions?${query}`, reading);
}

/** @param {string} id @param {Reading} reading @returns {Promise<Check>} */
export const check = (id, reading) => json('GET', `/me/checks/${encodeURIComponent(id)}`, reading);

/** @param {Reading} reading @returns {Promise<Card>} */
export const card = (reading) => json('GET', '/me/card', reading);

/** The card's QR as a picture. @param {Reading} reading @returns {Promise<Blob>} */
export const cardPicture = async (reading) =>
  (await send('GET', '/me/card.svg', { ...reading, headers: { Accept: 'image/svg+xml' } })).blob();

/** The profile with the tag that an edit of it names. @param {Reading} reading @returns {Promise<Profile & { tag: string | null }>} */
export async function profile(reading) {
  const response = await send('GET', '/me/profile', reading);
  return { ...(await response.json()), tag: response.headers.get('ETag') };
}

/**
 * Changes the fields that are given and no other.
 * @param {{ [field: string]: string | null }} changes
 * @param {string | null} tag of the profile that was shown: nobody else's change in between is overwritten
 * @returns {Promise<Profile>}
 */
export const editProfile = (changes, tag) =>
  json('PATCH', '/me/profile', {
    body: changes,
    headers: { 'Content-Type': 'application/merge-patch+json', ...(tag ? { 'If-Match': tag } : {}) },
  });

// Devices

/** @param {Reading} reading @returns {Promise<Sessions>} */
export const sessions = (reading) => json('GET', '/me/sessions', reading);

/** @param {string} id */
export const endSession = (id) => send('DELETE', `/me/sessions/${encodeURIComponent(id)}`);

export const endOtherSessions = () => send('DELETE', '/me/sessions');

// Live balance

/**
 * Hands out the server's events as they come, until the server or `signal` ends it. `EventSource` cannot send our header, so the stream is
 * read by hand: a blank line ends an event.
 * @param {AbortSignal} signal
 * @param {string} last the id of the last event seen, or nothing
 * @returns {AsyncGenerator<{ id: string, event: string, data: string }>}
 */
export async function* events(signal, last) {
  const headers = { Accept: 'text/event-stream', ...(last ? { 'Last-Event-ID': last } : {}) };
  const response = await send('GET', '/me/events', { headers, signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const chunk = await reader?.read();
    if (!chunk || chunk.done) return;
    text += chunk.value.replaceAll('\r\n', '\n');
    const parts = text.split('\n\n');
    text = parts.pop() ?? '';
    for (const part of parts) yield read(part);
  }
}

/** @param {string} part */
function read(part) {
  const event = { id: '', event: 'message', data: '' };
  for (const line of part.split('\n')) {
    const [, name, value] = /^(id|event|data): ?(.*)$/.exec(line) ?? [];
    if (name === 'data') event.data += (event.data && '\n') + value;
    else if (name === 'id' || name === 'event') event[name] = value ?? '';
  }
  return event;
}
