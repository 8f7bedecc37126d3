// Bars of what burns when. The table beside it says the same in words, so readers are given one sentence.

import { svg } from '../dom.js';
import { bonusNumber, shortDay } from '../format.js';

const HEIGHT = 220;
const FLOOR = 184;
const TOP = 28;

/**
 * @param {{ amount: number, expires_on: string }[]} days soonest first
 * @param {string} label
 */
export function bars(days, label) {
  // Drawn at about the width it is shown at, so that its words are as large as the others.
  const roomy = matchMedia('(min-width: 40rem)').matches;
  const width = roomy ? 560 : 320;
  const most = Math.max(...days.map((day) => day.amount), 1);
  const step = width / days.length;
  const thick = Math.min(step * 0.6, 48);
  const every = Math.ceil(days.length / (roomy ? 7 : 4));
  const drawn = days.flatMap((day, index) => {
    const height = Math.max(((FLOOR - TOP) * day.amount) / most, 6);
    const middle = step * (index + 0.5);
    const bar = svg('rect', {
      class: index === 0 ? 'bar bar-next' : 'bar',
      x: middle - thick / 2,
      y: FLOOR - height,
      width: thick,
      height,
      rx: Math.min(8, thick / 2, height / 2),
    });
    const labelled = index % every === 0;
    return [
      bar,
      labelled &&
        svg('text', { class: 'bar-amount', x: middle, y: FLOOR - height - 10, 'text-anchor': 'middle' }, bonusNumber(day.amount)),
      labelled && svg('text', { class: 'bar-day', x: middle, y: FLOOR + 24, 'text-anchor': 'middle' }, shortDay(day.expires_on)),
    ];
  });
  const floor = svg('line', { class: 'bar-floor', x1: 0, x2: width, y1: FLOOR + 0.5, y2: FLOOR + 0.5 });
  return svg('svg', { class: 'chart', viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': label }, floor, drawn);
}
