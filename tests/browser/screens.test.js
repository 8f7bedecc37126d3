// Every screen, phone and desktop, light and dark: axe finds nothing, and a picture is left for people to look at.

import { after, before, test } from 'node:test';
import { startDemo } from './demo.js';
import { DESKTOP, PHONE, launch, settled, visitor } from './visitor.js';

let demo;
let browser;

before(async () => {
  demo = await startDemo();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

const SCREENS = { home: '/', history: '/history', burning: '/burning', card: '/card', profile: '/profile', devices: '/devices', 'not-found': '/checks/999999999' };

for (const [size, options] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
  for (const colorScheme of ['light', 'dark']) {
    test(`every screen is right on a ${size} in ${colorScheme}`, async () => {
      const guest = await visitor(browser, demo, { ...options, colorScheme, reducedMotion: 'reduce' });
      const { page } = guest;
      const look = async (name) => {
        await settled(page);
        await guest.axe(`${name}, ${size}, ${colorScheme}`);
        await guest.shot(`${name}-${size}-${colorScheme}`);
      };

      await page.goto('/sign-in');
      await look('sign-in');
      await page.getByRole('textbox').fill('9160000001');
      const challenge = await guest.ask();
      await page.locator('input.code').waitFor();
      await look('code');
      await page.locator('input.code').pressSequentially(await demo.code(challenge));
      await page.waitForURL((url) => url.pathname === '/');

      guest.expect(/404/);
      for (const [name, path] of Object.entries(SCREENS)) {
        await page.goto(path);
        await look(name);
      }
      await page.goto('/history');
      await page.locator('.days a.row').first().click();
      await page.locator('.receipt').waitFor();
      await look('check');

      await page.goto('/');
      await settled(page);
      guest.expect(/ERR_INTERNET_DISCONNECTED/);
      await guest.context.setOffline(true);
      await page.locator('.notice-text').waitFor();
      await look('offline');
      await guest.context.setOffline(false);

      await page.goto('/');
      await settled(page);
      await demo.control('POST', '/faults', { kind: 'status', status: 503 });
      await page.waitForFunction(() => {
        document.querySelector('.refresh')?.click();
        return document.querySelector('.notice-stale');
      }, null, { polling: 1000 });
      await page.locator('.toast').waitFor({ state: 'detached' });
      await look('stale');
      await demo.control('DELETE', '/faults');
      await page.waitForFunction(() => {
        document.querySelector('.refresh')?.click();
        return !document.querySelector('.notice-stale');
      }, null, { polling: 1000, timeout: 30_000 });
      await guest.forget();

      for (const [name, phone] of Object.entries({ blocked: '+79160000004', newcomer: '+79160000002', 'sign-up': '+79160000008' })) {
        await guest.signIn(phone, { landing: name === 'sign-up' ? '/sign-up' : '/' });
        await look(name);
        await guest.forget();
      }
      await guest.close();
    });
  }
}
