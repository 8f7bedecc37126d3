// Numbers, sums, days and moments as people write them. Sums come in kopecks; days and moments as text of the contract.

import { language, t, unitWord } from './language.js';
import { program } from './session.js';

const locale = () => (language === 'ru' ? 'ru-RU' : 'en-GB');

/**
 * Bonuses without their word: `1 250` or `12,5`.
 * @param {number} amount kopecks
 */
export function bonusNumber(amount) {
  const scale = program?.unit.scale ?? 100;
  const most = Math.ceil(Math.log10(Math.max(scale, 1)));
  const fraction = amount % scale !== 0 ? most : 0;
  return new Intl.NumberFormat(locale(), { minimumFractionDigits: fraction, maximumFractionDigits: most }).format(amount / scale);
}

/**
 * The word for that many bonuses.
 * @param {number} amount kopecks
 */
export function bonusWord(amount) {
  const scale = program?.unit.scale ?? 100;
  return unitWord(program?.unit.forms ?? [], Math.abs(amount / scale));
}

/**
 * Bonuses with their word: `1 250 бонусов`.
 * @param {number} amount kopecks
 */
export function bonuses(amount) {
  return `${bonusNumber(amount)}\u00a0${bonusWord(amount)}`.trim();
}

/**
 * A movement: `+125` or `−40`.
 * @param {number} amount kopecks
 */
export function signed(amount) {
  if (amount === 0) return '0';
  return (amount > 0 ? '+' : '−') + bonusNumber(Math.abs(amount));
}

/**
 * Money: `1 250 ₽`.
 * @param {number} amount kopecks
 */
export function money(amount) {
  const fraction = amount % 100 === 0 ? 0 : 2;
  const number = new Intl.NumberFormat(locale(), { minimumFractionDigits: fraction, maximumFractionDigits: 2 });
  return `${number.format(amount / 100)}\u00a0₽`;
}

/**
 * A percentage given as decimal text: `5 %` in Russian, `5%` in English.
 * @param {string} text
 */
export function percent(text) {
  return new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: 2 }).format(Number(text) / 100);
}

/**
 * A quantity given as decimal text.
 * @param {string} text
 */
export function quantity(text) {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: 3 }).format(Number(text));
}

/**
 * A day: `1 декабря`, with the year when it is not this one.
 * @param {string} day `YYYY-MM-DD`
 * @param {'long' | 'short'} [month]
 */
export function day(day, month = 'long') {
  const date = new Date(`${day}T00:00:00Z`);
  const year = day.slice(0, 4) === today().slice(0, 4) ? undefined : 'numeric';
  const text = new Intl.DateTimeFormat(locale(), { day: 'numeric', month, year, timeZone: 'UTC' }).format(date);
  // A number never stands at the end of a line without its month.
  return text.replace(/\sг\.$/, '').replace(' ', '\u00a0');
}

/**
 * A day as people say it inside a sentence: today, yesterday, else `1 дек.`
 * @param {string} date `YYYY-MM-DD`
 */
export function dayNamed(date) {
  const passed = -daysUntil(date);
  if (passed !== 0 && passed !== 1) return day(date, 'short');
  return new Intl.RelativeTimeFormat(locale(), { numeric: 'auto' }).format(-passed, 'day');
}

/**
 * The same as a heading: `Вчера`, `1 декабря`.
 * @param {string} date `YYYY-MM-DD`
 */
export function dayHeading(date) {
  const passed = -daysUntil(date);
  if (passed !== 0 && passed !== 1) return day(date);
  const name = dayNamed(date);
  return name.charAt(0).toLocaleUpperCase(locale()) + name.slice(1);
}

/**
 * A day in a narrow place: `1 дек.`
 * @param {string} day `YYYY-MM-DD`
 */
export function shortDay(day) {
  const date = new Date(`${day}T00:00:00Z`);
  return new Intl.DateTimeFormat(locale(), { day: 'numeric', month: 'short', timeZone: 'UTC' }).format(date);
}

/**
 * A moment's day where it happened, as `YYYY-MM-DD`, for grouping.
 * @param {string} moment
 * @param {string} [zone]
 */
export function dayOf(moment, zone = homeZone()) {
  return new Intl.DateTimeFormat('en-CA', { timeZone: zone }).format(new Date(moment));
}

/**
 * The hour of a moment: `14:20`.
 * @param {string} moment
 * @param {string} [zone]
 */
export function hour(moment, zone = homeZone()) {
  return new Intl.DateTimeFormat(locale(), { hour: '2-digit', minute: '2-digit', timeZone: zone }).format(new Date(moment));
}

/**
 * Day and hour of a moment, the day left out when it is today.
 * @param {string} moment
 * @param {string} [zone]
 */
export function moment(moment, zone) {
  const its = dayOf(moment, zone);
  if (its === today(zone)) return hour(moment, zone);
  return t('moment', { day: day(its), hour: hour(moment, zone) });
}

/**
 * Whole days from today until a day.
 * @param {string} day `YYYY-MM-DD`
 */
export function daysUntil(day) {
  return Math.round((Date.parse(`${day}T00:00:00Z`) - Date.parse(`${today()}T00:00:00Z`)) / 86_400_000);
}

/**
 * A countdown: `0:45`.
 * @param {number} seconds
 */
export function countdown(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/**
 * Today where the restaurants are, as `YYYY-MM-DD`: a guest who travels reads days and hours of one clock.
 * @param {string} [zone]
 */
export function today(zone = homeZone()) {
  return dayOf(new Date().toISOString(), zone);
}

/** The zone of the programme's first restaurant; the browser's own when there is none. */
function homeZone() {
  return program?.restaurants?.[0]?.time_zone;
}

/**
 * The zone of a restaurant of the programme; the first one's when it is not known.
 * @param {string | null | undefined} code
 */
export function zoneOf(code) {
  return (program?.restaurants ?? []).find((restaurant) => restaurant.code === code)?.time_zone ?? homeZone();
}
