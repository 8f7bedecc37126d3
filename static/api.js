// The only file that talks to the server. Every call, its arguments and its answer, as the contract has them.
//
// The session is a cookie, so each call carries `X-Cabinet: 1`: no other site can make a browser send that.

import { language } from './language.js';

/** @typedef {import('./types/api.js').paths} Paths */
/** @typedef {import('./types/api.js').components['schemas']} Schemas */
/**
 * The methods of a path.
 * @template {keyof Paths} Path
 * @typedef {{ [method in keyof Paths[Path]]: Paths[Path][method] extends { responses: unknown } ? method : never }[keyof Paths[Path]]} Methods
 */
/**
 * The JSON that a call answers with.
 * @template {keyof Paths} Path
 * @template {keyof Paths[Path]} Method
 * @typedef {Paths[Path][Method] extends { responses: infer Responses }
 *   ? { [status in keyof Responses & (200 | 201 | 202)]: Responses[status] extends { content: { 'application/json': infer Body } } ? Body : never }[keyof Responses & (200 | 201 | 202)]
 *   : never} Answer
 */
/**
 * The JSON that a call takes.
 * @template {keyof Paths} Path
 * @template {keyof Paths[Path]} Method
 * @typedef {Paths[Path][Method] extends { requestBody?: infer Sent }
 *   ? [NonNullable<Sent>] extends [never] ? undefined : NonNullable<Sent> extends { content: { 'application/json': infer Body } } ? Body : undefined
 *   : undefined} Request
 */
/**
 * What a call takes in its address.
 * @template {keyof Paths} Path
 * @template {keyof Paths[Path]} Method
 * @typedef {Paths[Path][Method] extends { parameters: { query?: infer Query } } ? Query : undefined} Query
 */
/** @typedef {Answer<'/api/v1/program', 'get'>} Program */
/** @typedef {Answer<'/api/v1/auth/challenges', 'post'>} Challenge */
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
/** @typedef {Request<'/api/v1/me/profile', 'patch'>} Changes */
/** @typedef {NonNullable<Challenge['channels'][number]>} Channel */

/** What went wrong, as the server's problem document says; `offline` when it could not be reached at all. */
export class Problem extends Error {
  /**
   * @param {Schemas['ErrorCode'] | 'offline'} code
   * @param {string} title
   * @param {Partial<Schemas['ProblemDocument']>} [more]
   */
  constructor(code, title, more = {}) {
    super(title);
    this.code = code;
    this.title = title;
    this.fields = new Map((more.errors ?? []).map((error) => [error.field, error.message]));
    this.retryAfter = more.retry_after ?? undefined;
    this.attemptsLeft = more.attempts_left ?? undefined;
    this.requestId = more.request_id;
  }
}

/** @typedef {{ fresh?: boolean, signal?: AbortSignal }} Reading `fresh` asks ProBonus again, as pulling to refresh does. */

/**
 * Any call: its path, method and body are the contract's, or the type check fails.
 * @template {keyof Paths} Path
 * @template {Methods<Path>} Method
 * @param {Method & string} method
 * @param {Path} path
 * @param {{ id?: string, query?: Query<Path, Method>, body?: Request<Path, Method>, headers?: { [name: string]: string } } & Reading} [options]
 * @returns {Promise<Response>}
 */
async function send(method, path, { id = '', query, body, headers = {}, fresh, signal } = {}) {
  /** @type {{ [name: string]: string }} */
  const all = { Accept: 'application/json', 'Accept-Language': language, 'X-Cabinet': '1', ...headers };
  if (body !== undefined) all['Content-Type'] ??= 'application/json';
  if (fresh) all['Cache-Control'] = 'no-cache';
  const asked = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== '');
  const address = path.replace('{id}', encodeURIComponent(id)) + (asked.length > 0 ? `?${new URLSearchParams(asked)}` : '');
  let response;
  try {
    response = await fetch(address, {
      method: method.toUpperCase(),
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
    const document = /** @type {Schemas['ProblemDocument']} */ (await response.json());
    if (response.status === 401) dispatchEvent(new Event('signed-out'));
    return new Problem(document.code, document.title, document);
  } catch {
    return new Problem('internal', '', { retry_after: Number(response.headers.get('Retry-After')) || undefined });
  }
}

/**
 * A call that answers with JSON.
 * @template {keyof Paths} Path
 * @template {Methods<Path>} Method
 * @param {Method & string} method
 * @param {Path} path
 * @param {Parameters<typeof send<Path, Method>>[2]} [options]
 * @returns {Promise<Answer<Path, Method>>}
 */
async function json(method, path, options) {
  return (await send(method, path, options)).json();
}

export const program = () => json('get', '/api/v1/program');

// Signing in

/** @param {string} phone @param {Channel} [channel] */
export const askForCode = (phone, channel) =>
  json('post', '/api/v1/auth/challenges', { body: { phone, channel, platform: 'web' } });

/** @param {string} id @param {Channel} [channel] */
export const resendCode = (id, channel) => json('post', '/api/v1/auth/challenges/{id}/resend', { id, body: { channel } });

/** @param {string} id @param {AbortSignal} signal */
export const challenge = (id, signal) => json('get', '/api/v1/auth/challenges/{id}', { id, signal });

/**
 * @param {string} id
 * @param {string} code
 * @param {string} device what the guest will recognise this browser by
 */
export const verifyCode = (id, code, device) =>
  json('post', '/api/v1/auth/challenges/{id}/verify', { id, body: { code, session: 'cookie', device_name: device } });

export const signOut = () => send('post', '/api/v1/auth/logout');

/** @param {Registration} registration */
export const signUp = (registration) => json('post', '/api/v1/me/registration', { body: registration });

// What a guest sees

/** @param {Reading} reading */
export const home = (reading) => json('get', '/api/v1/me/home', reading);

/** @param {Reading} reading */
export const balance = (reading) => json('get', '/api/v1/me/balance', reading);

/** @param {NonNullable<Query<'/api/v1/me/transactions', 'get'>>} filter @param {Reading} reading */
export const history = (filter, reading) => json('get', '/api/v1/me/transactions', { ...reading, query: filter });

/** @param {string} id @param {Reading} reading */
export const check = (id, reading) => json('get', '/api/v1/me/checks/{id}', { ...reading, id });

/** @param {Reading} reading */
export const card = (reading) => json('get', '/api/v1/me/card', reading);

/** The card's QR as a picture. @param {Reading} reading @returns {Promise<Blob>} */
export const cardPicture = async (reading) =>
  (await send('get', '/api/v1/me/card.svg', { ...reading, headers: { Accept: 'image/svg+xml' } })).blob();

/** The profile with the tag that an edit of it names. @param {Reading} reading @returns {Promise<Profile & { tag: string | null }>} */
export async function profile(reading) {
  const response = await send('get', '/api/v1/me/profile', reading);
  return { ...(await response.json()), tag: response.headers.get('ETag') };
}

/**
 * Changes the fields that are given and no other.
 * @param {Changes} changes
 * @param {string | null} tag of the profile that was shown: nobody else's change in between is overwritten
 */
export const editProfile = (changes, tag) =>
  json('patch', '/api/v1/me/profile', {
    body: changes,
    headers: { 'Content-Type': 'application/merge-patch+json', ...(tag ? { 'If-Match': tag } : {}) },
  });

// Devices

/** @param {Reading} reading */
export const sessions = (reading) => json('get', '/api/v1/me/sessions', reading);

/** @param {string} id */
export const endSession = (id) => send('delete', '/api/v1/me/sessions/{id}', { id });

export const endOtherSessions = () => send('delete', '/api/v1/me/sessions');

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
  const response = await send('get', '/api/v1/me/events', { headers, signal });
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
