// Words: the chosen language, texts by name, plural forms.

/** @typedef {'ru' | 'en'} Language */
/** @typedef {import('./texts/ru.js').Texts} Texts */

/** @type {Language} */
export let language = chosen();

/** @type {Texts} */
let texts;
let plurals = new Intl.PluralRules(language);

/** @returns {Language} */
function chosen() {
  const kept = read('language');
  if (kept === 'ru' || kept === 'en') return kept;
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag === 'ru' || tag === 'en');
  return wanted === 'en' ? 'en' : 'ru';
}

/** Loads the texts of the chosen language. */
export async function loadTexts() {
  texts = language === 'en' ? (await import('./texts/en.js')).default : (await import('./texts/ru.js')).default;
  plurals = new Intl.PluralRules(language);
  document.documentElement.lang = language;
}

/**
 * Changes the language and remembers it.
 * @param {Language} wanted
 */
export async function setLanguage(wanted) {
  language = wanted;
  keep('language', wanted);
  await loadTexts();
}

/**
 * A text with `{name}` filled from `values`; of one with plural forms the form for `values.n`.
 * @param {keyof Texts} name
 * @param {{ [name: string]: string | number }} [values]
 * @returns {string}
 */
export function t(name, values = {}) {
  const text = texts[name];
  const form = typeof text === 'string' ? text : pick(text, Number(values.n));
  const filled = form.replace(/\{(\w+)\}/g, (_, key) => String(values[key] ?? ''));
  // A dash never begins a line, and a word of one or two Russian letters never ends one.
  return filled.replaceAll(' — ', '\u00a0— ').replace(/(^|[^а-яё])([а-яё]{1,2}) /gi, '$1$2\u00a0');
}

/**
 * @param {import('./texts/ru.js').Forms} forms
 * @param {number} n
 */
function pick(forms, n) {
  const form = plurals.select(n);
  return (form === 'one' && forms.one) || (form === 'few' && forms.few) || forms.many;
}

/**
 * The word for `n` out of a programme's forms: one, few, many in Russian; one, many in English. A fraction takes the form after "of".
 * @param {string[]} forms
 * @param {number} n
 */
export function unitWord(forms, n) {
  const last = forms[forms.length - 1] ?? '';
  switch (plurals.select(n)) {
    case 'one':
      return forms[0] ?? last;
    case 'few':
      return forms[1] ?? last;
    case 'many':
      return last;
    default:
      return language === 'ru' ? (forms[1] ?? last) : last;
  }
}

/**
 * A setting of this browser; `null` when it is not there or storage is switched off.
 * @param {string} name
 */
export function read(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/**
 * Keeps a setting of this browser, `null` forgets it. Settings only: nothing about the guest is ever kept.
 * @param {string} name
 * @param {string | null} value
 */
export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // Storage is switched off: the setting holds until the page is closed.
  }
}
