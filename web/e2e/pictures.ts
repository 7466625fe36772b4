/** Pictures of the pages, for looking at and for the README. `make screenshots` puts them into `web/pictures`. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import type { Page } from 'playwright-core';
import { it } from 'vitest';

import { House, message, open, say } from './house';

const FOLDER = join(import.meta.dirname, '..', 'pictures');

async function picture(page: Page, name: string): Promise<void> {
  // What moves comes to rest first.
  await page.waitForTimeout(400);
  await page.screenshot({ path: join(FOLDER, `${name}.png`) });
}

async function theme(page: Page, name: string): Promise<void> {
  await page.evaluate((choice) => {
    localStorage.setItem('theme', choice);
    document.documentElement.dataset.theme = choice;
  }, name);
}

it('takes pictures', async () => {
  mkdirSync(FOLDER, { recursive: true });
  const house = await House.open(['anna', 'ben', 'clara', 'dragan', 'elif']);
  const empty = await (await house.browser()).newPage();
  await empty.goto(house.url);
  await empty.getByLabel('Password').waitFor();
  await picture(empty, 'sign-in-light');
  await theme(empty, 'dark');
  await picture(empty, 'sign-in-dark');

  const [anna, ben, clara] = [
    await house.person('anna'),
    await house.person('ben'),
    await house.person('clara'),
  ];
  await ben.getByRole('button', { name: /^Your status/ }).click();
  await ben.getByPlaceholder('What are you up to?').fill('Call with Meyer & Sons');
  await ben.getByRole('button', { name: 'On the phone' }).click();
  await clara.getByRole('button', { name: /^Your status/ }).click();
  await clara.getByRole('button', { name: 'In a meeting' }).click();

  await anna.getByRole('button', { name: 'New conference' }).click();
  await anna.getByRole('dialog').getByLabel('Name').fill('Spring sale');
  for (const name of ['Ben', 'Clara']) await anna.getByRole('dialog').getByLabel(name).check();
  await anna.getByRole('button', { name: 'Create' }).click();
  await anna.getByRole('region', { name: 'Spring sale' }).waitFor();
  for (const page of [ben, clara]) {
    await page.getByRole('button', { name: 'Join' }).click();
    await page.getByRole('region', { name: 'Spring sale' }).waitFor();
  }
  await say(
    anna,
    'Spring sale',
    'Good morning! Prices go down on *Monday*. The list is at https://corp.example/spring',
  );
  await message(clara, 'Good morning').waitFor();
  await say(clara, 'Spring sale', 'Does that hold for the garden tables as well?');
  await message(anna, 'garden tables').waitFor();
  await say(anna, 'Spring sale', 'Yes, all of them. 15 % off until the end of the month.');
  await message(clara, '15 % off').waitFor();
  await message(clara, '15 % off').hover();
  await message(clara, '15 % off').getByRole('button', { name: 'React' }).click();
  await message(clara, '15 % off').getByRole('button', { name: '🎉' }).first().click();
  await say(clara, 'Spring sale', 'Great, I will tell the shops.');
  await message(anna, 'tell the shops').waitFor();

  await anna
    .getByRole('navigation')
    .getByRole('button', { name: /Ben/ })
    .first()
    .click({ modifiers: ['Control'] });
  await anna.getByRole('region', { name: 'Ben' }).waitFor();
  await say(anna, 'Ben', 'Are you still on with Meyer?');
  await open(ben, 'Anna');
  await message(ben, 'still on').waitFor();
  await say(ben, 'Anna', 'Yes. They want *two* more pallets, can we deliver by Thursday?');
  await say(ben, 'Anna', '> two pallets\nof the oak ones');
  await message(anna, 'oak ones').waitFor();
  await say(anna, 'Ben', 'Thursday is fine. Tell them 14:00.');
  await message(ben, '14:00').waitFor();
  await ben.getByRole('region', { name: 'Anna' }).getByRole('textbox').pressSequentially('Wonder');
  await anna.getByText('Ben is writing…').waitFor();

  for (const name of ['light', 'dark', 'contrast']) {
    await theme(anna, name);
    await picture(anna, `chat-${name}`);
  }
  await theme(anna, 'light');
  await anna.keyboard.press('Control+k');
  await anna.getByRole('option').first().waitFor();
  await picture(anna, 'finder-light');
  await anna.keyboard.press('Escape');
  await anna.getByRole('button', { name: /^Your status/ }).click();
  await picture(anna, 'status-light');
  await anna.getByRole('button', { name: 'Settings' }).click();
  await picture(anna, 'settings-light');

  const phone = await house.person('elif', {
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
  });
  await picture(phone, 'phone-list');
  await open(phone, 'Anna');
  await say(phone, 'Anna', 'On my way, ten minutes.');
  await picture(phone, 'phone-chat');
  await house.close();
});
