// permessage-deflate between the browser and the echo program, as it is on the wire.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { PATIENCE, startServer } from '../support/programs.mjs';
import { frames, takeover } from '../support/wire.mjs';
import { Tabs, launch } from './tab.mjs';

const timeout = PATIENCE;
const TEXT = 'compression finds again what it has seen, žluťoučký kůň, '.repeat(50);

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

// A relay that keeps what goes through it. `upgraded(path)` gives the connection that asked
// for a path, which no page does by itself.
async function relay(port) {
  const connections = [];
  const listening = createServer((theirs) => {
    const ours = connect(port, '127.0.0.1');
    const seen = { sent: [], received: [] };
    connections.push(seen);
    for (const [from, to, kept] of [[theirs, ours, seen.sent], [ours, theirs, seen.received]]) {
      from.on('data', (chunk) => kept.push(chunk)).pipe(to);
      from.on('error', () => to.destroy());
    }
  });
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return {
    page: `http://127.0.0.1:${listening.address().port}/`,
    stop: () => listening.close(),
    upgraded(path) {
      const split = (chunks) => {
        const all = Buffer.concat(chunks);
        const end = all.indexOf('\r\n\r\n') + 4;
        return { head: all.subarray(0, end).toString('latin1'), frames: frames(all.subarray(end)) };
      };
      const found = connections
        .map(({ sent, received }) => ({ sent: split(sent), received: split(received) }))
        .filter(({ sent }) => sent.head.startsWith(`GET ${path} `));
      assert.equal(found.length, 1);
      return found[0];
    },
  };
}

// In the page: sends each message when the last has come back, and closes.
async function exchange(messages) {
  const socket = new WebSocket(`ws://${location.host}/?wire`);
  const heard = (name) => new Promise((resolve) => socket.addEventListener(name, resolve, { once: true }));
  await heard('open');
  const { extensions } = socket;
  const echoes = [];
  for (const message of messages) {
    const answer = heard('message');
    socket.send(message);
    echoes.push((await answer).data);
  }
  const closed = heard('close');
  socket.close(1000);
  const { code, wasClean } = await closed;
  return { extensions, echoes, code, wasClean };
}

const SETTINGS = [
  ['--deflate', 'server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12'],
  ['--deflate=takeover,window=15,min=1', 'client_max_window_bits=15'],
  ['--deflate=send-takeover,receive-window=9', 'client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=9'],
];

for (const [flag, parameters] of SETTINGS) {
  test(`${flag}: both directions are compressed`, { timeout }, async () => {
    const server = await startServer('echo', flag);
    const wire = await relay(server.port);
    const tabs = new Tabs(browser);
    try {
      const page = await tabs.open(wire.page);
      const done = await page.evaluate(exchange, [TEXT, TEXT, TEXT]);
      assert.deepEqual(done.echoes, [TEXT, TEXT, TEXT]);
      assert.deepEqual([done.code, done.wasClean], [1000, true]);
      const { sent, received } = wire.upgraded('/?wire');
      assert.match(sent.head, /^Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r$/m);
      const answer = /^Sec-WebSocket-Extensions: (.*)\r$/im.exec(received.head)?.[1];
      assert.equal(answer, ['permessage-deflate', parameters].join('; '));
      assert.equal(done.extensions, answer);
      const { ours, theirs } = takeover(flag);
      for (const [side, refers] of [[received, ours], [sent, theirs]]) {
        // Three texts with RSV1 and the Close frame.
        assert.deepEqual(side.frames.map(([first]) => first), [0xc1, 0xc1, 0xc1, 0x88]);
        const lengths = side.frames.map(([, length]) => length).slice(0, 3);
        assert.ok(Math.max(...lengths) < TEXT.length / 4, `${lengths}`);
        assert.ok(refers ? lengths[1] < lengths[0] : lengths[1] === lengths[0], `${lengths}`);
      }
    } finally {
      await tabs.close();
      wire.stop();
      await server.stop();
    }
  });
}

test('without the flag nothing is compressed', { timeout }, async () => {
  const server = await startServer('echo');
  const wire = await relay(server.port);
  const tabs = new Tabs(browser);
  try {
    const page = await tabs.open(wire.page);
    const done = await page.evaluate(exchange, [TEXT]);
    assert.deepEqual(done.echoes, [TEXT]);
    const { sent, received } = wire.upgraded('/?wire');
    assert.doesNotMatch(received.head, /Sec-WebSocket-Extensions/i);
    assert.deepEqual(sent.frames.map(([first]) => first), [0x81, 0x88]);
    assert.deepEqual(received.frames.map(([first]) => first), [0x81, 0x88]);
  } finally {
    await tabs.close();
    wire.stop();
    await server.stop();
  }
});
