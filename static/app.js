// The start: language, what is always on the page, the programme, then the first screen.

import * as api from './api.js';
import { loadTexts, t } from './language.js';
import { again, go, start } from './router.js';
import { PATIENCE, isSignedIn, setProgram, setSignedIn, setWaiting } from './session.js';
import { drawShell, toast } from './shell.js';
import { forgetViews } from './parts/view.js';

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

// The programme's name and words: nothing waits for them but sums, which are shown in its unit.
async function loadProgram(late = false) {
  const begun = Date.now();
  try {
    setProgram(await api.program());
  } catch {
    setTimeout(() => void loadProgram(true), 10_000);
    return;
  }
  drawShell();
  // Sums were drawn without their unit by then.
  if ((late || Date.now() - begun > PATIENCE) && isSignedIn()) again();
}
void loadProgram();
start();

if ('serviceWorker' in navigator && isSecureContext) {
  // Script addresses may come only from this policy, and it knows one.
  const policy = /** @type {any} */ (self).trustedTypes?.createPolicy('cabinet', { createScriptURL: () => '/sw.js' });
  navigator.serviceWorker.register(/** @type {string} */ (policy?.createScriptURL('') ?? '/sw.js')).catch(() => undefined);
}
