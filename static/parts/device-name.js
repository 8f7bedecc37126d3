// What the guest will recognise this browser by among their devices: `Chrome, Android`.

/** The first whose pattern is found. @type {[RegExp, string][]} */
const BROWSERS = [
  [/YaBrowser/, 'Yandex'],
  [/Edg\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/SamsungBrowser/, 'Samsung Internet'],
  [/Firefox|FxiOS/, 'Firefox'],
  [/Chrome|CriOS/, 'Chrome'],
  [/Safari/, 'Safari'],
];

/** @type {[RegExp, string][]} */
const SYSTEMS = [
  [/iPhone/, 'iPhone'],
  [/iPad/, 'iPad'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/Mac/, 'Mac'],
  [/Linux/, 'Linux'],
];

export function deviceName() {
  const found = (/** @type {[RegExp, string][]} */ kinds) => kinds.find(([pattern]) => pattern.test(navigator.userAgent))?.[1];
  return [found(BROWSERS) ?? 'Web', found(SYSTEMS)].filter(Boolean).join(', ');
}

/** Whether a device of that name stands on a desk. @param {string | null} name */
export function isDesktop(name) {
  return /Windows|Mac|Linux/.test(name ?? '');
}
