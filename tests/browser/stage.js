// What every file of tests needs: one demo and one browser, guests that come and are seen off, a ProBonus that is well again afterwards.

import { after, afterEach, before } from 'node:test';
import { startDemo } from './demo.js';
import { launch, visitor } from './visitor.js';

/** Sets the stage for the tests of a file. */
export function stage() {
  const guests = [];
  const set = {
    demo: null,
    browser: null,
    /** A guest with a browser of their own; when the test ends, their console must have been silent. */
    async come(options) {
      const guest = await visitor(set.browser, set.demo, options);
      guests.push(guest);
      return guest;
    },
  };
  before(async () => {
    set.demo = await startDemo();
    set.browser = await launch();
  });
  afterEach(async () => {
    await set.demo.control('DELETE', '/faults');
    for (const guest of guests.splice(0)) await guest.close();
  });
  after(async () => {
    await set.browser?.close();
    await set.demo?.stop();
  });
  return set;
}
