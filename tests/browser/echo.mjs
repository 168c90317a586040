// The echo program's own page.
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { MESSAGES } from '../interop/echo.mjs';
import { PATIENCE, startServer } from '../support/programs.mjs';
import { PHONE, NO_SERVER, Tabs, assertFits, launch, screenshot } from './tab.mjs';

const timeout = PATIENCE;
const MIB = 1 << 20;
const BINARY_OPCODE = 2; // RFC 6455 §5.2

let browser, server, tabs, page, wire;

before(async () => (browser = await launch()));
after(() => browser.close());

beforeEach(async () => {
  server = await startServer('echo');
  tabs = new Tabs(browser);
  page = await tabs.open('about:blank');
  wire = new EventEmitter();
  // What is on the wire. Playwright's own event for it leaves empty messages out.
  const network = await page.context().newCDPSession(page);
  network.on('Network.webSocketFrameReceived', ({ response: { opcode, payloadData } }) => {
    wire.emit('received', opcode === BINARY_OPCODE ? Buffer.from(payloadData, 'base64') : payloadData);
  });
  await network.send('Network.enable');
  await page.goto(server.page);
  await page.locator('#status', { hasText: /^open$/ }).waitFor();
});

afterEach(async () => {
  await tabs.close().finally(() => server.stop());
});

// Sends through the page's own form and returns what came back on the wire.
async function sendByHand(message, { binary = false } = {}) {
  const shown = await page.locator('#log > li').count();
  await page.locator('#binary').setChecked(binary);
  await page.locator('#message').fill(message);
  const answer = once(wire, 'received');
  await page.locator('#send').click();
  await page.locator('#log > li').nth(shown).waitFor();
  assert.equal(await page.locator('#log > li').count(), shown + 1);
  return (await answer)[0];
}

test('the form echoes text as text and binary as binary', { timeout }, async () => {
  await screenshot(page, 'echo-empty');
  for (const message of ['text', 'žluťoučký kůň 🐟', '']) {
    assert.equal(await sendByHand(message), message);
    assert.deepEqual(await sendByHand(message, { binary: true }), Buffer.from(message));
  }
  assert.match(await page.locator('#log').innerText(), /text[^]*žluťoučký kůň 🐟/);
  await screenshot(page, 'echo-used');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize(PHONE.viewport);
  await assertFits(page, '#message');
  await screenshot(page, 'echo-phone-dark');
});

test('the form echoes 1 MiB', { timeout }, async () => {
  const message = 'm'.repeat(MIB);
  assert.equal(await sendByHand(message), message);
  assert.deepEqual(await sendByHand(message, { binary: true }), Buffer.from(message));
});

test('the beginning of a long binary message is shown, and that an empty one is empty', { timeout }, async () => {
  // The 2,000th byte, behind which it is cut, is the first of two.
  await sendByHand(`m${'ž'.repeat(1500)}`, { binary: true });
  const line = (n) => page.locator('#log > li').nth(n).innerText();
  assert.match(await line(0), /^3001 bytes: mž+…$/);
  await sendByHand('', { binary: true });
  assert.equal(await line(1), '0 bytes');
});

test('what came back is shown as text, never as markup', { timeout }, async () => {
  const markup = '<img src="x" onerror="document.title = 1"><b>bold</b>';
  assert.equal(await sendByHand(markup), markup);
  assert.ok((await page.locator('#log').innerText()).includes(markup));
  assert.equal(await page.locator('#log img, #log b').count(), 0);
});

test('a script in the page gets its messages back and a clean close', { timeout }, async () => {
  const messages = MESSAGES.map((message) => (Buffer.isBuffer(message) ? [...message] : message));
  const closed = await page.evaluate(async (messages) => {
    const socket = new WebSocket(`ws://${location.host}/`);
    socket.binaryType = 'arraybuffer';
    const heard = (name) => new Promise((resolve) => socket.addEventListener(name, resolve, { once: true }));
    await heard('open');
    for (const message of messages) {
      const isText = typeof message === 'string';
      const answer = heard('message');
      socket.send(isText ? message : new Uint8Array(message));
      const { data } = await answer;
      const same = isText
        ? data === message
        : data instanceof ArrayBuffer && String(new Uint8Array(data)) === String(message);
      if (!same) throw new Error(`a message of ${message.length} did not come back as it was`);
    }
    const close = heard('close');
    socket.close(1000, 'done');
    const { code, wasClean } = await close;
    return { code, wasClean };
  }, messages);
  assert.deepEqual(closed, { code: 1000, wasClean: true });
});

test('a server that goes away says 1001', { timeout }, async () => {
  await page.evaluate(async () => {
    const socket = new WebSocket(`ws://${location.host}/`);
    window.ended = new Promise((resolve) => {
      socket.onclose = ({ code, wasClean }) => resolve({ code, wasClean });
    });
    await new Promise((resolve) => (socket.onopen = resolve));
  });
  tabs.tolerate(NO_SERVER);
  const stopped = server.stop();
  assert.deepEqual(await page.evaluate(() => window.ended), { code: 1001, wasClean: true });
  await stopped;
  await page.locator('#status', { hasNotText: /^open$/ }).waitFor();
});
