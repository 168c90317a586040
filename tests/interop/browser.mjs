// Headless Chromium on the echo program's own page.
//
//     node browser.mjs [--screenshots DIR]
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { MESSAGES, PATIENCE, startServer } from './echo.mjs';

const { values: options } = parseArgs({ options: { screenshots: { type: 'string' } } });
const timeout = PATIENCE;
const MIB = 1 << 20;
const BINARY_OPCODE = 2; // RFC 6455 §5.2

let browser, server, page, complaints, wire;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    chromiumSandbox: false,
    args: [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
});
after(() => browser.close());

beforeEach(async () => {
  server = await startServer();
  page = await browser.newPage();
  complaints = [];
  wire = new EventEmitter();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => complaints.push(`${request.url()}: ${request.failure().errorText}`));
  // What is on the wire. Playwright's own event for it leaves empty messages out.
  const network = await page.context().newCDPSession(page);
  network.on('Network.webSocketFrameReceived', ({ response: { opcode, payloadData } }) => {
    wire.emit('received', opcode === BINARY_OPCODE ? Buffer.from(payloadData, 'base64') : payloadData);
  });
  await network.send('Network.enable');
  page.setDefaultTimeout(PATIENCE / 2);
  await page.goto(server.page);
  await page.locator('#status', { hasText: /^open$/ }).waitFor();
});

afterEach(async () => {
  // The page closes first: a server that goes away is something a page may complain of.
  if (!page.isClosed()) await page.close();
  await server.stop();
  assert.deepEqual(complaints, [], 'the console must stay empty');
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

async function screenshot(name, size) {
  if (options.screenshots === undefined) return;
  await page.setViewportSize(size);
  await page.screenshot({ path: join(options.screenshots, `${name}.png`), fullPage: true });
}

test('the form echoes text as text and binary as binary', { timeout }, async () => {
  await screenshot('echo-empty', { width: 1280, height: 800 });
  for (const message of ['text', 'žluťoučký kůň 🐟', '']) {
    assert.equal(await sendByHand(message), message);
    assert.deepEqual(await sendByHand(message, { binary: true }), Buffer.from(message));
  }
  assert.match(await page.locator('#log').innerText(), /text[^]*žluťoučký kůň 🐟/);
  await screenshot('echo-used', { width: 1280, height: 800 });
  await screenshot('echo-phone', { width: 390, height: 844 });
});

test('the form echoes 1 MiB', { timeout }, async () => {
  const message = 'm'.repeat(MIB);
  assert.equal(await sendByHand(message), message);
  assert.deepEqual(await sendByHand(message, { binary: true }), Buffer.from(message));
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
  const seen = complaints.length;
  const stopped = server.stop();
  assert.deepEqual(await page.evaluate(() => window.ended), { code: 1001, wasClean: true });
  await stopped;
  await page.locator('#status', { hasNotText: /^open$/ }).waitFor();
  // From here on the page may say that it finds no server any more.
  complaints.length = seen;
  await page.close();
});
