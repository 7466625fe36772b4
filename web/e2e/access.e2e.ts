import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { House, message, open, say, signIn } from './house';

let house: House;

beforeAll(async () => {
  house = await House.open(['anna', 'ben']);
});

afterAll(async () => {
  await house.close();
});

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds wrong with what is on the screen, in every colour scheme. */
async function faults(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const found: string[] = [];
  for (const theme of ['light', 'dark', 'contrast']) {
    const results = await page.evaluate(async (name) => {
      document.documentElement.dataset.theme = name;
      const { axe } = window as unknown as { axe: { run(options: object): Promise<AxeResults> } };
      return await axe.run({
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      });
    }, theme);
    for (const { id, nodes } of results.violations) {
      found.push(...nodes.map((node) => `${theme}: ${id}: ${node.html.slice(0, 160)}`));
    }
  }
  return found;
}

it('every page can be used by everybody', async () => {
  const page = await (await house.browser({ reducedMotion: 'reduce' })).newPage();
  await page.goto(house.url);
  await page.getByLabel('Password').waitFor();
  expect(await faults(page), 'sign-in').toEqual([]);
  await signIn(page, 'anna');
  expect(await faults(page), 'nothing open').toEqual([]);
  await open(page, 'Ben');
  await say(page, 'Ben', 'A *word*, `code` and https://corp.example/');
  await say(page, 'Ben', '> quoted');
  await message(page, 'quoted').waitFor();
  expect(await faults(page), 'a conversation').toEqual([]);
  await page.getByRole('button', { name: 'New conference' }).click();
  expect(await faults(page), 'new conference').toEqual([]);
  await page.getByRole('dialog').getByLabel('Name').fill('Team');
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('region', { name: 'Team' }).waitFor();
  await page.getByRole('button', { name: 'Members' }).click();
  await page.getByRole('complementary', { name: 'Members' }).waitFor();
  expect(await faults(page), 'members').toEqual([]);
  await page.keyboard.press('Control+k');
  await page.getByRole('option').first().waitFor();
  expect(await faults(page), 'finder').toEqual([]);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+Shift+f');
  expect(await faults(page), 'search').toEqual([]);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: /^Your status/ }).click();
  expect(await faults(page), 'status').toEqual([]);
  await page.getByRole('button', { name: 'Settings' }).click();
  expect(await faults(page), 'settings').toEqual([]);
  expect(house.complaints).toEqual([]);
});
