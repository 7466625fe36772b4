import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { House, message, open, say, signIn } from './house';

let house: House;

beforeAll(async () => {
  house = await House.open(['anna', 'ben', 'clara']);
});

afterAll(async () => {
  await house.close();
});

describe('sign-in', () => {
  it('refuses a wrong password in words, and lets the right one in', async () => {
    const page = await (await house.browser()).newPage();
    await page.goto(house.url);
    await page.getByLabel('Name', { exact: true }).fill('anna');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).toContain('not right');
    await signIn(page, 'anna');
    await page.reload();
    await page.getByRole('button', { name: /^Your status: Available/ }).waitFor();
    await page.getByRole('button', { name: /^Your status/ }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Password').waitFor();
    const kept = () => page.evaluate(async () => (await indexedDB.databases()).map((db) => db.name));
    await expect.poll(kept).toEqual([]);
    await page.context().close();
  });
});

describe('two colleagues', () => {
  it('talk, see who writes and who has read, correct, react and take back', async () => {
    const anna = await house.person('anna');
    const ben = await house.person('ben');
    await open(anna, 'Ben');
    await say(anna, 'Ben', 'Hello *Ben*, see https://corp.example/plan');
    await open(ben, 'Anna');
    const heard = message(ben, 'Hello Ben');
    await heard.waitFor();
    expect(await heard.locator('strong').last().textContent()).toBe('Ben');
    expect(await heard.getByRole('link').getAttribute('href')).toBe('https://corp.example/plan');
    await message(anna, 'Hello Ben').getByRole('img', { name: 'Read' }).waitFor();

    await ben.getByRole('region', { name: 'Anna' }).getByRole('textbox').pressSequentially('Hm');
    await anna.getByText('Ben is writing…').waitFor();
    await ben.keyboard.press('Enter');
    await message(anna, 'Hm').waitFor();

    await message(anna, 'Hm').hover();
    await message(anna, 'Hm').getByRole('button', { name: 'React' }).click();
    await message(anna, 'Hm').getByRole('button', { name: '👍' }).first().click();
    await message(ben, 'Hm').getByRole('button', { name: '👍 1' }).waitFor();

    await message(anna, 'Hm').getByRole('button', { name: 'Reply' }).click();
    await say(anna, 'Ben', 'What do you mean?');
    await message(ben, 'What do you mean?').getByRole('button', { name: /Hm/ }).waitFor();

    await ben.getByRole('region', { name: 'Anna' }).getByRole('textbox').press('ArrowUp');
    await say(ben, 'Anna', 'Hmm!');
    await message(anna, 'Hmm!').first().getByText('edited').waitFor();

    await message(anna, 'What do you mean?').last().hover();
    await message(anna, 'What do you mean?').last().getByRole('button', { name: 'Take back' }).click();
    await message(ben, 'This message was taken back.').waitFor();

    await anna.reload();
    await message(anna, 'Hello Ben').waitFor();
    await message(anna, 'This message was taken back.').waitFor();
    await message(anna, 'Hmm!').first().getByRole('button', { name: '👍 1' }).waitFor();
    await anna.context().close();
    await ben.context().close();
  });

  it('see at a glance that somebody is on the phone', async () => {
    const anna = await house.person('anna');
    const ben = await house.person('ben');
    await open(anna, 'Ben');
    await ben.getByRole('button', { name: /^Your status/ }).click();
    await ben.getByPlaceholder('What are you up to?').fill('Customer call');
    await ben.getByRole('button', { name: 'On the phone' }).click();
    await anna.getByRole('img', { name: 'On the phone' }).first().waitFor();
    await anna.getByText('Customer call').first().waitFor();
    await ben.getByRole('button', { name: /^Your status/ }).click();
    await ben.getByPlaceholder('What are you up to?').fill('');
    await ben.getByRole('button', { name: 'Available', exact: true }).click();
    await anna.context().close();
    await ben.context().close();
  });
});

describe('a conference', () => {
  it('is made, joined by invitation, talked in, and read again after a reload', async () => {
    const [anna, ben, clara] = [
      await house.person('anna'),
      await house.person('ben'),
      await house.person('clara'),
    ];
    await anna.getByRole('button', { name: 'New conference' }).click();
    await anna.getByRole('dialog').getByLabel('Name').fill('Spring sale');
    await anna.getByRole('dialog').getByLabel('Ben').check();
    await anna.getByRole('dialog').getByLabel('Clara').check();
    await anna.getByRole('button', { name: 'Create' }).click();
    await anna.getByRole('region', { name: 'Spring sale' }).waitFor();
    for (const page of [ben, clara]) await page.getByRole('button', { name: 'Join' }).click();
    await say(anna, 'Spring sale', 'Prices go down on Monday, ben!');
    for (const page of [ben, clara]) await message(page, 'Prices go down').waitFor();
    await say(clara, 'Spring sale', 'Which ones?');
    for (const page of [anna, ben]) await message(page, 'Which ones?').waitFor();
    await message(anna, 'Prices go down').getByRole('img', { name: 'In the archive' }).waitFor();

    await anna.getByRole('button', { name: 'Members' }).click();
    await anna
      .getByRole('complementary', { name: 'Members' })
      .getByRole('button', { name: /clara/ })
      .first()
      .waitFor();

    await ben.reload();
    await message(ben, 'Which ones?').waitFor();
    for (const page of [anna, ben, clara]) await page.context().close();
  });
});

describe('a lost connection', () => {
  it('keeps what is written and sends it once', async () => {
    const anna = await house.person('anna');
    const ben = await house.person('ben');
    await open(anna, 'Ben');
    await open(ben, 'Anna');
    await house.stop();
    await anna.getByText('No connection.').waitFor();
    await anna.evaluate(() => navigator.serviceWorker.ready);
    await say(anna, 'Ben', 'Written while away');
    await message(anna, 'Written while away').getByRole('img', { name: 'Waiting to be sent' }).waitFor();
    await anna.reload();
    await message(anna, 'Written while away').waitFor();
    await house.start();
    await message(ben, 'Written while away').waitFor();
    await message(anna, 'Written while away')
      .getByRole('img', { name: /Read|Delivered|In the archive/ })
      .waitFor();
    expect(await message(ben, 'Written while away').count()).toBe(1);
    expect(await message(anna, 'Written while away').count()).toBe(1);
    await anna.context().close();
    await ben.context().close();
  });
});

describe('side by side', () => {
  it('shows several conversations, by mouse and by keyboard', async () => {
    const anna = await house.person('anna');
    await open(anna, 'Ben');
    await anna.keyboard.press('Control+k');
    await anna.getByRole('combobox').fill('cla');
    await anna.getByRole('option', { name: /Clara/ }).waitFor();
    await anna.getByRole('combobox').press('Shift+Enter');
    await anna.getByRole('region', { name: 'Clara' }).waitFor();
    await anna.getByRole('region', { name: 'Ben' }).waitFor();
    await anna.reload();
    await anna.getByRole('region', { name: 'Clara' }).waitFor();
    await anna.getByRole('region', { name: 'Ben' }).waitFor();
    await anna.context().close();
  });
});

describe('hostile words', () => {
  it('are text and nothing else', async () => {
    const anna = await house.person('anna');
    const ben = await house.person('ben');
    await open(anna, 'Ben');
    await open(ben, 'Anna');
    const words = [
      '<img src=x onerror="document.title=1">',
      '"><script>document.title=1</script>',
      'javascript:alert(1)',
      'https://a.example/"onmouseover="document.title=1',
      '```\n<b>not bold</b>\n```',
      '{{constructor.constructor("document.title=1")()}}',
      '\u202Egnp.exe',
    ];
    for (const text of words) await say(anna, 'Ben', text.replaceAll('\n', ' '));
    await message(ben, 'gnp.exe').waitFor();
    expect(await ben.title()).not.toBe('1');
    const log = ben.getByRole('log');
    expect(await log.locator('script, img[src="x"], b').count()).toBe(0);
    const links = await log
      .getByRole('link')
      .evaluateAll((all) => all.map((each) => each.getAttribute('href')));
    expect(links.every((href) => href?.startsWith('https://'))).toBe(true);
    await anna.context().close();
    await ben.context().close();
  });
});

it('no browser had anything to complain about', () => {
  expect(house.complaints).toEqual([]);
});
