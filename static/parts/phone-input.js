// A phone as people type, paste and autofill it: `+7 916 000-00-00` while it is typed, digits when it is sent.

/**
 * The number in a text: `+` and digits. Knows that in Russia 8 and 9 begin a number of the country.
 * @param {string} text
 */
export function digitsOf(text) {
  const digits = text.replace(/\D/g, '');
  if (text.trim().startsWith('+') && !digits.startsWith('7')) return digits ? `+${digits.slice(0, 15)}` : '+';
  if (digits.startsWith('8') || digits.startsWith('7')) return `+7${digits.slice(1, 11)}`;
  if (digits.startsWith('9')) return `+7${digits.slice(0, 10)}`;
  return digits ? `+${digits.slice(0, 15)}` : '';
}

/**
 * The number as it is shown.
 * @param {string} number `+` and digits
 */
export function pretty(number) {
  if (!number.startsWith('+7')) return number;
  const rest = number.slice(2);
  let text = '+7';
  if (rest.length > 0) text += ` ${rest.slice(0, 3)}`;
  if (rest.length > 3) text += ` ${rest.slice(3, 6)}`;
  if (rest.length > 6) text += `-${rest.slice(6, 8)}`;
  if (rest.length > 8) text += `-${rest.slice(8, 10)}`;
  return text;
}

/**
 * Whether it can be a whole number; the server decides.
 * @param {string} number `+` and digits
 */
export function isWhole(number) {
  return number.startsWith('+7') ? number.length === 12 : number.length >= 9;
}

/** Keeps the input pretty and the caret where it was. @param {HTMLInputElement} input */
export function masked(input) {
  input.addEventListener('input', () => {
    const caret = input.selectionStart ?? input.value.length;
    const atEnd = caret === input.value.length;
    const before = input.value.slice(0, caret).replace(/\D/g, '').length;
    const grew = digitsOf(input.value).length - 1 - input.value.replace(/\D/g, '').length;
    input.value = pretty(digitsOf(input.value));
    if (!atEnd) {
      const place = after(input.value, before + Math.max(grew, 0));
      input.setSelectionRange(place, place);
    }
  });
  input.addEventListener('paste', (event) => {
    const pasted = event.clipboardData?.getData('text') ?? '';
    // A whole number replaces what was there, with whatever stood around it.
    if (pasted.replace(/\D/g, '').length < 10) return;
    event.preventDefault();
    input.value = pretty(digitsOf(pasted));
    input.dispatchEvent(new Event('input', { bubbles: true }));
  });
}

/** The place after that many digits. @param {string} text @param {number} digits */
function after(text, digits) {
  let seen = 0;
  for (let place = 0; place < text.length; place += 1) {
    if (seen === digits) return place;
    if (/\d/.test(text[place] ?? '')) seen += 1;
  }
  return text.length;
}
