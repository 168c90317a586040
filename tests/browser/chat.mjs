// The chat program's pages, as people use them.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { PATIENCE, run, startServer } from '../support/programs.mjs';
import { Door } from './door.mjs';
import { DESKTOP, NO_SERVER, PHONE, Tabs, assertFits, assertLabelled, assertReadable, launch, screenshot } from './tab.mjs';

const timeout = PATIENCE;
const MARKUP = '<img src=x onerror=alert(1)>';

let browser, server, tabs;

before(async () => (browser = await launch()));
after(() => browser.close());

beforeEach(async () => {
  server = await startServer('chat');
  tabs = new Tabs(browser);
});

afterEach(async () => {
  await tabs.close().finally(() => server.stop());
});

// --- What a person does and sees.

const chat = (base, nick, room) => `${new URL('/chat', base)}?${new URLSearchParams({ nick, room })}`;

// Somebody in a room, in a browser of their own.
async function enter(nick, room, { base = server.page, ...options } = DESKTOP) {
  const page = await tabs.open(chat(base, nick, room), { ...DESKTOP, ...options });
  await isConnected(page);
  return page;
}

const isConnected = (page) => page.locator('#subtitle', { hasText: / here$/ }).waitFor();

async function say(page, text) {
  await page.locator('#text').fill(text);
  await page.locator('#text').press('Enter');
}

const message = (page, text) => page.locator('.message:not(.sending) .text', { hasText: text });
const hears = (page, text) => message(page, text).first().waitFor();
const texts = (page) => page.locator('.message .text').allInnerTexts();

const show = (page, list, name) => page.locator(`#${list}-list .entry`, { has: page.getByText(name, { exact: true }) }).click();

async function joinRoom(page, name) {
  await page.locator('#add-room').click();
  await page.locator('#room-name').fill(name);
  await page.locator('#room-name').press('Enter');
  await page.locator('#title', { hasText: `# ${name}` }).waitFor();
}

async function signIn(page, nick, room = 'lobby') {
  await page.locator('#nickname').fill(nick);
  await page.locator('#room').fill(room);
  await page.locator('#enter').click();
}

// One sentence, and the field that it is about.
async function isRefused(page, sentence, field) {
  await page.locator('#login-error', { hasText: sentence }).waitFor();
  const said = await page.locator('#login-error').innerText();
  assert.match(said, /^[^.!?]*(?:_ - \. @[^.!?]*)?\.$/, 'one sentence');
  assert.equal(await page.evaluate(() => document.activeElement.id), field);
  assert.equal(await page.locator('#chat').isVisible(), false);
}

// --- Rooms and people.

test('four tabs, two rooms of two people each: a message reaches exactly its room', { timeout }, async () => {
  const [ana, bo] = [await enter('ana', 'harbour'), await enter('bo', 'harbour')];
  const [cleo, dan] = [await enter('cleo', 'deck'), await enter('dan', 'deck')];
  await say(ana, 'the harbour hears this');
  await say(dan, 'the deck hears this');
  for (const page of [ana, bo]) await hears(page, 'the harbour hears this');
  for (const page of [cleo, dan]) await hears(page, 'the deck hears this');
  // What would have gone astray would have come before these.
  await say(bo, 'harbour, over');
  await say(cleo, 'deck, over');
  for (const page of [ana, bo]) {
    await hears(page, 'harbour, over');
    assert.deepEqual(await texts(page), ['the harbour hears this', 'harbour, over']);
  }
  for (const page of [cleo, dan]) {
    await hears(page, 'deck, over');
    assert.deepEqual(await texts(page), ['the deck hears this', 'deck, over']);
  }
});

test('a private message is seen by two people only', { timeout }, async () => {
  const [ana, bo, cleo] = [await enter('ana', 'lobby'), await enter('bo', 'lobby'), await enter('cleo', 'lobby')];
  const dan = await enter('dan', 'elsewhere');
  await show(ana, 'member', 'bo');
  await ana.locator('#title', { hasText: 'bo' }).waitFor();
  await screenshot(ana, 'chat-private-empty');
  await say(ana, 'for your eyes only');
  await hears(ana, 'for your eyes only');
  await bo.locator('#private-list .badge', { hasText: '1' }).waitFor();
  await screenshot(bo, 'chat-unread');
  await show(bo, 'private', 'ana');
  await hears(bo, 'for your eyes only');
  await say(bo, 'my lips are sealed');
  await hears(ana, 'my lips are sealed');
  await screenshot(ana, 'chat-private');
  // Somebody in another room, too.
  await bo.locator('#add-private').click();
  await bo.locator('#private-name').fill('dan');
  await bo.locator('#private-name').press('Enter');
  await say(bo, 'and one for dan');
  await dan.locator('#private-list .badge', { hasText: '1' }).waitFor();
  // What went to the room comes after all that, and is all that the others have.
  await show(bo, 'room', 'lobby');
  await say(bo, 'back in the room');
  await hears(cleo, 'back in the room');
  assert.deepEqual(await texts(cleo), ['back in the room']);
  assert.equal(await cleo.locator('#private-list .entry').count(), 0);
});

test('nobody of that name: the message says so, and can be tried again', { timeout }, async () => {
  const ana = await enter('ana', 'lobby');
  await ana.locator('#add-private').click();
  await ana.locator('#private-name').fill('bo');
  await ana.locator('#private-name').press('Enter');
  await say(ana, 'are you there?');
  await ana.locator('.failure', { hasText: 'Nobody of that name is here' }).waitFor();
  await screenshot(ana, 'chat-not-sent');
  const bo = await enter('bo', 'lobby');
  await ana.locator('.failure button', { hasText: 'Try again' }).click();
  await bo.locator('#private-list .badge', { hasText: '1' }).waitFor();
  assert.equal(await ana.locator('.failure').count(), 0);
});

test('one page is in several rooms, and counts what is unread in each', { timeout }, async () => {
  const [ana, bo] = [await enter('ana', 'harbour'), await enter('bo', 'harbour')];
  await joinRoom(ana, 'deck');
  await joinRoom(bo, 'deck');
  await say(bo, 'on deck');
  await hears(ana, 'on deck');
  await show(bo, 'room', 'harbour');
  await say(bo, 'first');
  await say(bo, 'second');
  await ana.locator('#room-list .badge', { hasText: '2' }).waitFor();
  assert.match(await ana.title(), /^\(2\) #deck/);
  assert.deepEqual(await texts(ana), ['on deck']);
  await screenshot(ana, 'chat-two-rooms');
  await ana.locator('#text').press('Alt+ArrowUp');
  await hears(ana, 'second');
  await ana.locator('.divider.new').waitFor();
  assert.equal(await ana.locator('#room-list .badge:visible').count(), 0);
});

test('who is there, who comes, who goes, and who types', { timeout }, async () => {
  const ana = await enter('ana', 'lobby');
  const people = ana.locator('#member-list .entry .name');
  await ana.locator('#subtitle', { hasText: '1 person here' }).waitFor();
  const bo = await enter('bo', 'lobby');
  await ana.locator('#subtitle', { hasText: '2 people here' }).waitFor();
  assert.deepEqual(await people.allInnerTexts(), ['ana', 'bo']);
  await bo.locator('#text').pressSequentially('hm');
  await ana.locator('#typing', { hasText: 'bo is typing' }).waitFor();
  await screenshot(ana, 'chat-typing');
  await bo.locator('#sign-out').click();
  await bo.locator('#login').waitFor();
  await ana.locator('#subtitle', { hasText: '1 person here' }).waitFor();
  assert.equal(await ana.locator('#typing').innerText(), '');
  assert.deepEqual(await people.allInnerTexts(), ['ana']);
});

test('earlier messages are fetched, in order and none twice', { timeout }, async () => {
  const expected = Array.from({ length: 70 }, (_, number) => `message ${number + 1}`);
  const ana = await enter('ana', 'lobby');
  for (const text of expected) await say(ana, text);
  await hears(ana, 'message 70');
  assert.deepEqual(await texts(ana), expected);
  const bo = await enter('bo', 'lobby');
  await hears(bo, 'message 70');
  assert.deepEqual(await texts(bo), expected.slice(20));
  const first = message(bo, /^message 21$/);
  await bo.locator('#older').scrollIntoViewIfNeeded();
  const { y } = await first.boundingBox();
  await bo.locator('#older').click();
  await message(bo, /^message 1$/).waitFor();
  await bo.locator('#older').waitFor({ state: 'hidden' });
  assert.deepEqual(await texts(bo), expected);
  // Whoever reads something keeps it before their eyes.
  assert.ok(Math.abs((await first.boundingBox()).y - y) < 60, 'what was read stays where it was');
  await say(ana, 'meanwhile');
  await bo.locator('#latest', { hasText: '1 new' }).waitFor();
  assert.ok(Math.abs((await first.boundingBox()).y - y) < 60, 'and while others write');
  await screenshot(bo, 'chat-history');
  await bo.locator('#latest').click();
  await bo.locator('#latest').waitFor({ state: 'hidden' });
});

test('whoever enters while others write has everything once, and in order', { timeout }, async (context) => {
  // Far away, so that messages come between joining and asking for what was before.
  const far = await Door.to(server.port, { delay: 50 });
  context.after(() => far.shut());
  const ana = await enter('ana', 'lobby');
  const expected = [];
  const write = async () => {
    expected.push(`message ${expected.length + 1}`);
    await say(ana, expected.at(-1));
  };
  let bo = null;
  const entering = enter('bo', 'lobby', { base: far.page }).then((page) => (bo = page));
  while (bo === null && expected.length < 150) await write();
  await entering;
  await write();
  await message(bo, expected.at(-1)).last().waitFor();
  assert.deepEqual(await texts(bo), expected.slice(-(await texts(bo)).length));
  assert.ok((await texts(bo)).length >= Math.min(expected.length, 50));
});

// --- What comes back.

test('a reload brings back what was missed, and what was read before', { timeout }, async () => {
  const [ana, bo] = [await enter('ana', 'lobby'), await enter('bo', 'lobby')];
  await joinRoom(ana, 'deck');
  await show(ana, 'room', 'lobby');
  await say(bo, 'before');
  await hears(ana, 'before');
  await ana.locator('#text').fill('half a thou');
  await ana.goto('about:blank');
  for (const text of ['missed one', 'missed two']) {
    await say(bo, text);
    await hears(bo, text);
  }
  await ana.goto(chat(server.page, 'ana', 'lobby'));
  await hears(ana, 'missed two');
  assert.deepEqual(await texts(ana), ['before', 'missed one', 'missed two']);
  assert.deepEqual(await ana.locator('.divider').allInnerTexts(), ['Today', 'New']);
  assert.deepEqual(await ana.locator('#room-list .name').allInnerTexts(), ['lobby', 'deck']);
  assert.equal(await ana.locator('#text').inputValue(), 'half a thou');
  await screenshot(ana, 'chat-reloaded');
  await say(bo, 'live again');
  await hears(ana, 'live again');
});

test('a lost connection comes back with what was missed, and sends what waited', { timeout }, async (context) => {
  tabs.tolerate(NO_SERVER);
  const door = await Door.to(server.port);
  context.after(() => door.shut());
  const ana = await enter('ana', 'lobby', { base: door.page });
  const bo = await enter('bo', 'lobby');
  await say(bo, 'before');
  await hears(ana, 'before');
  await door.shut();
  await ana.locator('#link', { hasText: 'reconnecting' }).waitFor();
  await say(bo, 'missed');
  await say(ana, 'written while away');
  await ana.locator('.sending', { hasText: 'written while away' }).waitFor();
  await ana.locator('#link-notice', { hasText: /The connection was lost\. Trying again/ }).waitFor();
  await screenshot(ana, 'chat-reconnecting');
  await door.open();
  // It may have come back by itself: then the button is hidden, and does nothing.
  await ana.locator('#link-notice button').evaluate((button) => button.click());
  for (const page of [ana, bo]) {
    await hears(page, 'written while away');
    assert.deepEqual(await texts(page), ['before', 'missed', 'written while away']);
  }
  assert.equal(await ana.locator('#link-notice').isVisible(), false);
  assert.equal(await ana.locator('.divider.gap').count(), 0);
});

test('a server that restarts is told, waited for, and found again', { timeout }, async () => {
  tabs.tolerate(NO_SERVER);
  const ana = await enter('ana', 'lobby');
  const bo = await enter('bo', 'lobby');
  await say(bo, 'before');
  await hears(ana, 'before');
  const { port } = server;
  await server.stop();
  await ana.locator('#link', { hasText: 'reconnecting' }).waitFor();
  await say(ana, 'written while away');
  server = await startServer('chat', '--listen', `127.0.0.1:${port}`);
  for (const page of [ana, bo]) await hears(page, 'written while away');
  // Without a store the old messages are gone from the server, and the page says so.
  assert.deepEqual(await texts(ana), ['before', 'written while away']);
  assert.match((await ana.locator('.divider').allInnerTexts()).join(), /Some messages may be missing here/);
  await screenshot(ana, 'chat-restarted');
  await say(bo, 'all is well');
  await hears(ana, 'all is well');
});

test('the same person in another window takes over, and the first says so', { timeout }, async () => {
  const bo = await enter('bo', 'lobby');
  const ana = await enter('ana', 'lobby');
  await say(ana, 'first window');
  await hears(ana, 'first window');
  await ana.waitForFunction(() => sessionStorage.length > 0);
  const session = await ana.evaluate(() => JSON.stringify(sessionStorage));
  const other = await tabs.again(ana.context(), server.page);
  await other.evaluate((session) => Object.assign(sessionStorage, JSON.parse(session)), session);
  await other.goto(chat(server.page, 'ana', 'lobby'));
  await hears(other, 'first window');
  const notice = ana.locator('#link-notice', { hasText: 'You are signed in from another window' });
  await notice.waitFor();
  await screenshot(ana, 'chat-replaced');
  await other.locator('#sign-out').click();
  await bo.locator('#subtitle', { hasText: '1 person here' }).waitFor();
  await notice.getByRole('button').click();
  await say(ana, 'mine again');
  await hears(ana, 'mine again');
});

// --- Signing in.

test('the login says in one sentence what is wrong', { timeout }, async () => {
  await server.stop();
  server = await startServer('chat', '--room-size', '1');
  await enter('ana', 'lobby');
  const page = await tabs.open(server.page);
  await page.locator('#login').waitFor();
  await screenshot(page, 'login');
  await signIn(page, '');
  await isRefused(page, 'Choose a name first.', 'nickname');
  await signIn(page, 'two words');
  await isRefused(page, 'A name takes letters, digits and _ - . @', 'nickname');
  await screenshot(page, 'login-bad-name');
  await signIn(page, 'x'.repeat(65));
  await isRefused(page, 'at most 64', 'nickname');
  await signIn(page, 'bo', '');
  await isRefused(page, 'Choose a room first.', 'room');
  await signIn(page, 'bo', '#lobby');
  await isRefused(page, 'The name of a room takes letters', 'room');
  await signIn(page, 'ana', 'deck');
  await isRefused(page, 'Somebody else is using that name right now; choose another.', 'nickname');
  await signIn(page, 'bo', 'lobby');
  await isRefused(page, 'That room is full.', 'room');
  await screenshot(page, 'login-room-full');
  await signIn(page, 'bo', 'deck');
  await isConnected(page);
  assert.equal(new URL(page.url()).pathname, '/chat');
  assert.deepEqual(Object.fromEntries(new URL(page.url()).searchParams), { nick: 'bo', room: 'deck' });
});

test('a server that is not there is one sentence, too', { timeout }, async () => {
  tabs.tolerate(NO_SERVER);
  const page = await tabs.open(server.page);
  await server.stop();
  await signIn(page, 'ana');
  await page.locator('#login-error', { hasText: 'The server cannot be reached' }).waitFor();
  assert.equal(await page.locator('#enter').isEnabled(), true);
});

test('markup is refused as a name, and is text in a message', { timeout }, async () => {
  const form = await tabs.open(server.page);
  await signIn(form, MARKUP);
  await isRefused(form, 'A name takes letters, digits and _ - . @', 'nickname');
  const address = await tabs.open(chat(server.page, MARKUP, 'lobby'));
  await isRefused(address, 'A name takes letters, digits and _ - . @', 'nickname');
  // The server itself, asked without the page.
  const answer = await form.evaluate(async (nickname) => {
    const socket = new WebSocket(`ws://${location.host}/talking`, ['chat.v1.json']);
    await new Promise((resolve) => (socket.onopen = resolve));
    socket.send(JSON.stringify({ type: 'login', nickname, id: 1 }));
    const { data } = await new Promise((resolve) => (socket.onmessage = resolve));
    socket.close(1000);
    return JSON.parse(data);
  }, MARKUP);
  assert.equal(answer.code, 'bad-name');

  const [ana, bo] = [await enter('ana', 'lobby'), await enter('bo', 'lobby')];
  await say(ana, MARKUP);
  await say(ana, '<script>alert(1)</script>\n\tand <b>a line</b>');
  await hears(bo, 'and <b>a line</b>');
  assert.equal((await texts(bo))[0], MARKUP);
  assert.equal(await bo.locator('#messages img, #messages script, #messages .text *').count(), 0);
  await screenshot(bo, 'chat-markup');
});

test('with tokens the name is in the token, and the page says when it ends', { timeout }, async (context) => {
  const key = join(tmpdir(), `sockeye-browser-${process.pid}.key`);
  writeFileSync(key, randomBytes(48).toString('base64'));
  context.after(() => rmSync(key));
  await server.stop();
  server = await startServer('chat', '--jwt-key', key);
  const token = async (ttl) => {
    const { code, stdout, stderr } = await run('presence', 'token', '--id', 'ana', '--ttl', ttl, '--jwt-key', key).ended;
    assert.equal(code, 0, stderr);
    return stdout.trim();
  };
  const page = await tabs.open(server.page);
  await signIn(page, 'ana');
  await isRefused(page, 'This server wants a token.', 'token');
  await page.locator('#token').fill('no token');
  await page.locator('#enter').click();
  await isRefused(page, 'The server does not accept that token.', 'token');
  await page.locator('#token').fill(await token('4s'));
  await page.locator('#enter').click();
  await isConnected(page);
  assert.equal(await page.locator('#my-name').innerText(), 'ana');
  await page.locator('#expiring').waitFor();
  await screenshot(page, 'chat-expiring');
  await page.locator('#new-token').fill(await token('5s'));
  await page.locator('#new-token').press('Enter');
  await isRefused(page, 'That token has expired; a new one is needed.', 'token');
  const secrets = await page.evaluate(() => location.href + document.documentElement.outerHTML);
  assert.doesNotMatch(secrets, /eyJ/, 'no token in the address or in the document');
});

// --- Small screens, and no mouse.

test('on a phone nothing is wider than the screen, and the input is in sight', { timeout }, async () => {
  const page = await tabs.open(server.page, PHONE);
  await assertFits(page, '#enter');
  await screenshot(page, 'phone-login');
  await page.locator('#nickname').fill('ana');
  await page.locator('#enter').tap();
  await isConnected(page);
  const bo = await enter('b'.repeat(64), 'lobby');
  await say(bo, 'w'.repeat(300));
  await say(bo, `A longer one, as people write it.\n\n${'And more of it. '.repeat(20)}`);
  await hears(page, 'And more of it');
  await assertFits(page, '#text');
  await assertFits(page, '#send');
  await page.locator('#text').fill('line\n'.repeat(30));
  await assertFits(page, '#text');
  await page.locator('#text').fill('');
  await screenshot(page, 'phone-chat');
  await page.locator('#show-members').tap();
  await page.locator('#member-list .entry', { hasText: 'bbb' }).waitFor();
  await assertFits(page, '#members');
  await screenshot(page, 'phone-members');
  await page.locator('#member-list .entry', { hasText: 'bbb' }).tap();
  await page.locator('#subtitle', { hasText: 'Only the two of you' }).waitFor();
  await assertFits(page, '#text');
  await page.locator('#show-rooms').tap();
  await screenshot(page, 'phone-rooms');
  await show(page, 'room', 'lobby');
  await page.locator('#title', { hasText: '# lobby' }).waitFor();
  await page.locator('#rooms').waitFor({ state: 'hidden' });
});

test('all of it works without a mouse', { timeout }, async () => {
  const page = await tabs.open(server.page);
  const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  await page.keyboard.type('ana');
  await press('Enter');
  await isConnected(page);
  await page.keyboard.type('first line');
  await press('Shift+Enter');
  await page.keyboard.type('second line');
  await press('Enter');
  await hears(page, 'first line\nsecond line');
  // Backwards to the plus sign, which opens a line for a name.
  await page.locator('#add-room').focus();
  await press('Enter');
  await page.keyboard.type('no good');
  await press('Enter');
  await page.locator('#room-form .form-error', { hasText: 'A name takes' }).waitFor();
  await press('Escape');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'add-room');
  await press('Enter');
  await page.keyboard.type('deck');
  await press('Enter');
  await page.locator('#title', { hasText: '# deck' }).waitFor();
  await page.keyboard.type('on deck');
  await press('Enter');
  await hears(page, 'on deck');
  await press('Alt+ArrowUp');
  await hears(page, 'second line');
  await assertLabelled(page);
});

test('it is as readable in the dark', { timeout }, async () => {
  const dark = { ...DESKTOP, colorScheme: 'dark' };
  const login = await tabs.open(server.page, dark);
  await screenshot(login, 'login-dark');
  const ana = await enter('ana', 'lobby', dark);
  const bo = await enter('bo', 'lobby');
  await say(bo, 'Good evening.');
  await say(ana, 'Good night.');
  for (const page of [ana, bo]) {
    await hears(page, 'Good night.');
    for (const selector of ['.text', '.message time', '#subtitle', '#my-name']) await assertReadable(page, selector);
  }
  await screenshot(ana, 'chat-dark');
});
