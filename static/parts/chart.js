// Bars of what burns when. The table beside it says the same in words, so readers are given one sentence.

import { svg } from '../dom.js';
import { bonusNumber, shortDay } from '../format.js';

const WIDTH = 640;
const HEIGHT = 220;
const FLOOR = 176;
const TOP = 34;

/**
 * @param {{ amount: number, expires_on: string }[]} days soonest first
 * @param {string} label
 */
export function bars(days, label) {
  const most = Math.max(...days.map((day) => day.amount), 1);
  const step = WIDTH / days.length;
  const width = Math.min(step * 0.6, 56);
  const every = Math.ceil(days.length / 6);
  const drawn = days.flatMap((day, index) => {
    const height = Math.max(((FLOOR - TOP) * day.amount) / most, 6);
    const middle = step * (index + 0.5);
    const bar = svg('rect', { class: index === 0 ? 'bar bar-next' : 'bar', x: middle - width / 2, y: FLOOR - height, width, height, rx: Math.min(10, width / 2, height / 2) });
    const labelled = index % every === 0;
    return [
      bar,
      labelled && svg('text', { class: 'bar-amount', x: middle, y: FLOOR - height - 10, 'text-anchor': 'middle' }, bonusNumber(day.amount)),
      labelled && svg('text', { class: 'bar-day', x: middle, y: FLOOR + 26, 'text-anchor': 'middle' }, shortDay(day.expires_on)),
    ];
  });
  const floor = svg('line', { class: 'bar-floor', x1: 0, x2: WIDTH, y1: FLOOR + 0.5, y2: FLOOR + 0.5 });
  return svg('svg', { class: 'chart', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label }, floor, drawn);
}
