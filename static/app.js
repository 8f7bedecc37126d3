// The start: language, what is always on the page, the programme, then the first screen.

import * as api from './api.js';
import { loadTexts } from './language.js';
import { go, start } from './router.js';
import { isSignedIn, program, setProgram, setSignedIn, setWaiting } from './session.js';
import { drawShell, toast } from './shell.js';
import { forgetViews } from './parts/view.js';
import { t } from './language.js';

await loadTexts();
drawShell();

// The session ended: here by the server's word, or in another tab.
addEventListener('signed-out', () => {
  if (!isSignedIn()) return;
  leave();
  toast(t('phone.expired'));
});
addEventListener('storage', (event) => {
  if (event.key === 'signed-in' && event.newValue === null) leave();
});
// A page that the browser kept alive must not show a guest who has left.
addEventListener('pageshow', (event) => {
  if (event.persisted && !isSignedIn()) leave();
});

function leave() {
  setSignedIn(null);
  setWaiting(null);
  forgetViews();
  go('/sign-in', { replace: true });
}

// The programme's name and words; the page does not wait for them.
async function loadProgram() {
  try {
    setProgram(await api.program());
    drawShell();
  } catch {
    addEventListener('online', loadProgram, { once: true });
    setTimeout(() => program ?? loadProgram(), 10_000);
  }
}
const loading = loadProgram();

// Signs in at once where it is not needed, and shows sums in their unit: that much is worth a moment of waiting.
await Promise.race([loading, new Promise((done) => setTimeout(done, 1500))]);
start();

if ('serviceWorker' in navigator && isSecureContext) {
  // Script addresses may come only from this policy, and it knows one.
  const policy = /** @type {any} */ (self).trustedTypes?.createPolicy('cabinet', { createScriptURL: () => '/sw.js' });
  navigator.serviceWorker.register(/** @type {string} */ (policy?.createScriptURL('') ?? '/sw.js')).catch(() => undefined);
}
