// The presence program's page.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { PATIENCE, run, startServer } from '../support/programs.mjs';
import { DESKTOP, NO_SERVER, PHONE, Tabs, assertFits, assertLabelled, launch, screenshot } from './tab.mjs';

const timeout = PATIENCE;

let browser, server, tabs, directory;

before(async () => {
  browser = await launch();
  directory = mkdtempSync(join(tmpdir(), 'sockeye-presence-'));
});
after(async () => {
  rmSync(directory, { recursive: true });
  await browser.close();
});

beforeEach(async () => {
  server = await startServer('presence');
  tabs = new Tabs(browser);
});

afterEach(async () => {
  await tabs.close().finally(() => server.stop());
});

async function restart(...args) {
  await server.stop();
  server = await startServer('presence', ...args);
}

// A file of random text, as the programs take it for keys and tokens.
function secretFile(name) {
  const path = join(directory, name);
  const secret = randomBytes(48).toString('base64url');
  writeFileSync(path, `${secret}\n`);
  return { path, secret };
}

async function makeToken(key, id, ttl) {
  const { code, stdout, stderr } = await run('presence', 'token', '--id', id, '--ttl', ttl, '--jwt-key', key).ended;
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

// Somebody who looks, in a browser of their own.
async function look(options = DESKTOP) {
  const page = await tabs.open(server.page, options);
  await isLive(page);
  return page;
}

const isLive = (page) => page.locator('#link', { hasText: 'live' }).waitFor();

async function goOnline(page, name) {
  await page.locator('#name').fill(name);
  await page.locator('#go').click();
  await page.locator('#my-state', { hasText: /^online$/ }).waitFor();
}

const names = (page) => page.locator('#people .name').allInnerTexts();

// Until exactly these are shown, in this order.
const shows = (page, ...expected) =>
  page.waitForFunction(
    (expected) => String([...document.querySelectorAll('#people .name')].map((name) => name.textContent)) === String(expected),
    expected,
  );

// Until exactly these are online.
async function lists(page, ...expected) {
  await shows(page, ...expected);
  assert.equal(await page.locator('#count').innerText(), String(expected.length));
}

test('who comes and goes is seen at once by everybody who looks', { timeout }, async () => {
  const watcher = await look();
  await lists(watcher);
  await watcher.locator('#nobody').waitFor();
  await screenshot(watcher, 'presence-nobody');
  const [ana, bo] = [await look(), await look()];
  await goOnline(ana, 'ana');
  await lists(watcher, 'ana');
  await goOnline(bo, 'bo');
  for (const page of [watcher, ana, bo]) await lists(page, 'ana', 'bo');
  assert.equal(await watcher.title(), '2 online · Sockeye presence');
  await bo.locator('#leave').click();
  for (const page of [watcher, ana, bo]) await lists(page, 'ana');
  assert.deepEqual(
    (await watcher.locator('#lately li').allInnerTexts()).map((line) => line.replace(/\s+/g, ' ').replace(/^\w\w | \d.*$/g, '')),
    ['bo left', 'bo came', 'ana came'],
  );
  // Whoever comes later sees it as it is.
  await lists(await look(), 'ana');
  await screenshot(ana, 'presence-online');
});

test('a reload is nobody’s leaving, and the token stays in this browser', { timeout }, async () => {
  const [watcher, ana] = [await look(), await look()];
  await goOnline(ana, 'ana');
  await lists(watcher, 'ana');
  await ana.reload();
  await ana.locator('#my-state', { hasText: /^online$/ }).waitFor();
  assert.equal(await ana.locator('#my-name').innerText(), 'ana');
  assert.deepEqual(await watcher.locator('#lately .left').count(), 0);
  const seen = await ana.evaluate(() => location.href + document.documentElement.outerHTML);
  assert.doesNotMatch(seen, /eyJ/, 'no token in the address or in the document');
  // Two tabs of one browser are one person, who goes with both.
  const twin = await tabs.again(ana.context(), server.page);
  await twin.locator('#my-state', { hasText: /^online$/ }).waitFor();
  await lists(watcher, 'ana');
  await twin.locator('#leave').click();
  await ana.locator('#join').waitFor();
  await lists(watcher);
});

test('a closed tab is gone after the grace', { timeout }, async () => {
  await restart('--grace', '300ms');
  const [watcher, ana] = [await look(), await look()];
  await goOnline(ana, 'ana');
  await lists(watcher, 'ana');
  await ana.close();
  await lists(watcher);
});

test('a bad name is one sentence', { timeout }, async () => {
  const page = await look();
  for (const [name, sentence] of [
    ['', 'Choose a name first.'],
    ['<img src=x onerror=alert(1)>', 'A name takes letters, digits and _ - . @, at most 64 of them, and no spaces.'],
    ['x'.repeat(65), 'A name takes letters, digits and _ - . @, at most 64 of them, and no spaces.'],
  ]) {
    await page.locator('#name').fill(name);
    await page.locator('#go').click();
    await page.locator('#join-error', { hasText: sentence }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'name');
  }
  await screenshot(page, 'presence-bad-name');
  await lists(page);
});

test('a server with a key of its own asks for a token, and says when it has expired', { timeout }, async () => {
  const key = secretFile('key').path;
  await restart('--jwt-key', key);
  tabs.tolerate(/demo-token.*404|status of 404/); // How the page learns that there is a key.
  const page = await look();
  await page.locator('#name').fill('ana');
  await page.locator('#go').click();
  await page.locator('#jwt').waitFor();
  await screenshot(page, 'presence-token');
  const insert = async (token) => {
    await page.locator('#jwt').fill(token);
    await page.locator('#go').click();
  };
  await insert('nonsense');
  await page.locator('#join-error', { hasText: 'That is not a token.' }).waitFor();
  await insert(await makeToken(secretFile('other').path, 'ana', '1h'));
  await page.locator('#join-error', { hasText: 'The server does not accept that token, or it has expired.' }).waitFor();
  await insert(await makeToken(key, 'ana', '3s'));
  await lists(page, 'ana');
  await page.locator('#join-error', { hasText: 'Your token has expired; a new one is needed.' }).waitFor();
  await lists(page);
  assert.equal(await page.evaluate(() => localStorage.length), 0);
});

test('a server that shows itself to readers only asks for their token', { timeout }, async () => {
  const { path, secret } = secretFile('read');
  await restart('--read-token', path);
  tabs.tolerate(/401|WebSocket connection to .* failed/); // How the page learns of it.
  const page = await tabs.open(server.page);
  await page.locator('#read-token').fill('wrong');
  await screenshot(page, 'presence-read');
  await page.locator('#read-token').press('Enter');
  await page.locator('#read-error', { hasText: 'The server does not accept that token.' }).waitFor();
  await page.locator('#read-token').fill('not / even = possible');
  await page.locator('#read-token').press('Enter');
  await page.locator('#read-error', { hasText: 'The server does not accept that token.' }).waitFor();
  await page.locator('#read-token').fill(secret);
  await page.locator('#read-token').press('Enter');
  await isLive(page);
  await goOnline(page, 'ana');
  await lists(page, 'ana');
});

test('a server that restarts is told, waited for, and found again', { timeout }, async () => {
  tabs.tolerate(NO_SERVER);
  const key = secretFile('restart').path;
  await restart('--jwt-key', key);
  tabs.tolerate(/demo-token.*404|status of 404/);
  const [watcher, ana] = [await look(), await look()];
  await ana.locator('#name').fill('ana');
  await ana.locator('#go').click();
  await ana.locator('#jwt').fill(await makeToken(key, 'ana', '1h'));
  await ana.locator('#go').click();
  await lists(watcher, 'ana');
  const { port } = server;
  await server.stop();
  await watcher.locator('#link', { hasText: 'reconnecting' }).waitFor();
  await watcher.locator('#link-notice', { hasText: /Trying again/ }).waitFor();
  await screenshot(watcher, 'presence-reconnecting');
  server = await startServer('presence', '--listen', `127.0.0.1:${port}`, '--jwt-key', key);
  await isLive(watcher);
  await lists(watcher, 'ana');
  await ana.locator('#my-state', { hasText: /^online$/ }).waitFor();
});

test('above a number of people only their number is told', { timeout }, async () => {
  await restart('--max-listed', '2');
  const watcher = await look();
  const people = [];
  for (const name of ['ana', 'bo', 'cleo']) {
    const page = await look();
    await goOnline(page, name);
    people.push(page);
  }
  await watcher.locator('#crowd').waitFor();
  assert.equal(await watcher.locator('#count').innerText(), '3');
  assert.deepEqual(await names(watcher), []);
  await screenshot(watcher, 'presence-crowd');
  await people[0].locator('#leave').click();
  await people[1].locator('#leave').click();
  await lists(watcher, 'cleo');
});

test('on a phone, in the dark, and without a mouse', { timeout }, async () => {
  const page = await look({ ...PHONE, colorScheme: 'dark' });
  await assertFits(page, '#go');
  await page.locator('#name').focus();
  await page.keyboard.type('ana');
  await page.keyboard.press('Enter');
  await lists(page, 'ana');
  const long = 'b'.repeat(64);
  const other = await look();
  await goOnline(other, long);
  await lists(page, 'ana', long);
  await assertFits(page, '#leave');
  await screenshot(page, 'presence-phone', { fullPage: true });
  await assertLabelled(page);
});

test('a dozen people fill the page, and can be found', { timeout }, async () => {
  const watcher = await look();
  const people = ['ana', 'bo.larsen', 'cleo', 'dan', 'élodie', 'jonas', 'kim', 'lu', 'mira', 'otto', 'žofie', '李雷'];
  // As other programs do it: the page is only one client.
  const error = await watcher.evaluate(async (people) => {
    for (const id of people) {
      const jwt = await (await fetch(`/demo-token?${new URLSearchParams({ id })}`)).text();
      const socket = new WebSocket(`ws://${location.host}/echo`);
      await new Promise((resolve) => (socket.onopen = resolve));
      const message = JSON.stringify({ jwt });
      const answer = new Promise((resolve) => (socket.onmessage = ({ data }) => resolve(data)));
      socket.send(message);
      if ((await answer) !== message) return `${id} was not answered by the same message`;
    }
    return null;
  }, people);
  assert.equal(error, null);
  await lists(watcher, ...[...people].sort(new Intl.Collator('en-US').compare));
  await screenshot(watcher, 'presence-many');
  await watcher.locator('#filter').fill('o');
  await shows(watcher, 'bo.larsen', 'cleo', 'élodie', 'jonas', 'otto', 'žofie');
  await watcher.locator('#filter').fill('nobody');
  await watcher.locator('#not-found').waitFor();
});
