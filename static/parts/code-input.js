// The field for a code: one input, as autofill and readers want it, drawn as a cell per digit.

import { fill, h } from '../dom.js';

/**
 * @param {(code: string) => void} whole called with each code of the right length
 * @returns {{ input: HTMLInputElement, element: HTMLElement, resize: (length: number) => void, clear: () => void, put: (code: string) => void }}
 */
export function codeInput(whole) {
  // No `maxlength`: what is pasted around the code would be kept and the code cut off.
  const input = h('input', {
    type: 'text',
    inputmode: 'numeric',
    autocomplete: 'one-time-code',
    class: 'code',
    spellcheck: 'false',
    autocapitalize: 'off',
  });
  const cells = h('div', { class: 'cells', 'aria-hidden': 'true' });
  const element = h('div', { class: 'code-field' }, cells, input);
  let length = 0;

  input.addEventListener('input', () => {
    put(input.value);
    if (input.value.length === length) whole(input.value);
  });

  /** @param {string} text */
  function put(text) {
    input.value = text.replace(/\D/g, '').slice(0, length);
    [...cells.children].forEach((cell, place) => {
      cell.textContent = input.value[place] ?? '';
      cell.classList.toggle('next', place === Math.min(input.value.length, length - 1));
    });
  }

  /** @param {number} digits */
  function resize(digits) {
    if (digits === length) return;
    length = digits;
    fill(
      cells,
      Array.from({ length }, () => h('span', null)),
    );
    put('');
  }

  return { input, element, resize, clear: () => put(''), put };
}
