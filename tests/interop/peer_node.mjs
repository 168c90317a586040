// Node's `ws` against the echo program, each as server and as client.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { frames, takeover } from '../support/wire.mjs';
import { MESSAGES, PATIENCE, run, startServer } from './echo.mjs';

const timeout = PATIENCE;

// Each message comes back as what it was: a string as text, a buffer as binary.
async function exchange(socket) {
  for (const message of MESSAGES) {
    const answer = once(socket, 'message');
    socket.send(message);
    const [data, isBinary] = await answer;
    assert.equal(isBinary, Buffer.isBuffer(message));
    assert.ok(data.equals(Buffer.from(message)), `${data.length} bytes came back for ${message.length}`);
  }
}

let server;
before(async () => (server = await startServer()));
after(() => server.stop());

async function connect(options) {
  const socket = new WebSocket(server.url, options);
  await once(socket, 'open');
  return socket;
}

test('their client: every message comes back as it was', { timeout }, async () => {
  const socket = await connect();
  await exchange(socket);
  const closed = once(socket, 'close');
  socket.close(1000, 'done');
  const [code] = await closed;
  assert.equal(code, 1000);
});

test('their client: fragments come back whole', { timeout }, async () => {
  const socket = await connect();
  const answer = once(socket, 'message');
  socket.send('frag', { fin: false });
  socket.ping('between');
  const pong = once(socket, 'pong');
  socket.send('', { fin: false });
  socket.send('ments', { fin: true });
  assert.equal(String((await pong)[0]), 'between');
  const [data, isBinary] = await answer;
  assert.equal(String(data), 'fragments');
  assert.equal(isBinary, false);
  socket.terminate();
});

test('their client: pipelined messages keep their order', { timeout }, async () => {
  const socket = await connect();
  const sent = Array.from({ length: 1000 }, (_, number) => String(number));
  const received = [];
  const all = new Promise((resolve) => {
    socket.on('message', (data) => received.push(String(data)) === sent.length && resolve());
  });
  sent.forEach((message) => socket.send(message));
  await all;
  assert.deepEqual(received, sent);
  socket.terminate();
});

test('their client: the close code is echoed', { timeout }, async () => {
  for (const [code, reason] of [[1001, ''], [4321, 'our own']]) {
    const socket = await connect();
    const closed = once(socket, 'close');
    socket.close(code, reason);
    assert.equal((await closed)[0], code);
  }
});

// Runs our client against `handler`, which is given each connection.
async function visit(handler, ...args) {
  const listening = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  try {
    await once(listening, 'listening');
    const visited = once(listening, 'connection').then(([socket, request]) => handler(socket, request));
    const { ended } = run('--connect', `ws://127.0.0.1:${listening.address().port}/path?query=1`, ...args);
    const [end] = await Promise.all([ended, visited]);
    return end;
  } finally {
    listening.close();
    listening.clients.forEach((socket) => socket.terminate());
  }
}

test('their server: every message comes back as it was, and the close is clean', { timeout }, async () => {
  let closed;
  const { code, stderr } = await visit(async (socket, request) => {
    assert.equal(request.url, '/path?query=1');
    await exchange(socket);
    closed = once(socket, 'close');
    socket.close(1000, 'done');
  });
  assert.equal(code, 0, stderr);
  assert.equal((await closed)[0], 1000);
});

test('their server: ping is answered', { timeout }, async () => {
  const { code, stderr } = await visit(async (socket) => {
    const pong = once(socket, 'pong');
    socket.ping('are you there');
    assert.equal(String((await pong)[0]), 'are you there');
    socket.close(1000);
  });
  assert.equal(code, 0, stderr);
});

test('their server: a lost connection is a failure in one sentence', { timeout }, async () => {
  const { code, stderr } = await visit((socket) => socket.terminate());
  assert.notEqual(code, 0);
  assert.notEqual(stderr.trim(), '');
});

const TEXT = 'compression finds again what it has seen '.repeat(50);

// What our side is told, and what theirs is.
const SETTINGS = [
  ['--deflate', {}],
  ['--deflate=window=9,min=1', { serverNoContextTakeover: true, clientNoContextTakeover: true }],
  ['--deflate=takeover,window=15,min=1', {}],
  ['--deflate=takeover,window=15,level=9', { serverMaxWindowBits: 9, clientMaxWindowBits: 10 }],
  ['--deflate=send-takeover,receive-window=8', { serverMaxWindowBits: 9 }],
];

// The frames that the peer receives and sends from one call to the next.
function tap(socket) {
  let [received, sent] = [Buffer.alloc(0), Buffer.alloc(0)];
  const raw = socket._socket;
  raw.prependListener('data', (chunk) => (received = Buffer.concat([received, chunk])));
  const write = raw.write;
  raw.write = (chunk, ...rest) => {
    sent = Buffer.concat([sent, Buffer.from(chunk)]);
    return write.call(raw, chunk, ...rest);
  };
  return () => {
    const seen = { received: frames(received), sent: frames(sent) };
    [received, sent] = [Buffer.alloc(0), Buffer.alloc(0)];
    return seen;
  };
}

// RSV1 both ways, and whether either side refers to earlier messages.
async function compressed(socket, flag, parameters) {
  assert.match(socket.extensions, /permessage-deflate/);
  const seen = tap(socket);
  await exchange(socket);
  seen();
  for (let count = 0; count < 3; count++) {
    const answer = once(socket, 'message');
    socket.send(TEXT);
    assert.equal(String((await answer)[0]), TEXT);
  }
  const { received, sent } = seen();
  const { ours, theirs } = takeover(flag);
  for (const [frames, refers] of [[received, ours], [sent, theirs]]) {
    assert.deepEqual(frames.map(([first]) => first), [0xc1, 0xc1, 0xc1]);
    const lengths = frames.map(([, length]) => length);
    const about = `${flag} ${JSON.stringify(parameters)}: ${lengths}`;
    assert.ok(Math.max(...lengths) < TEXT.length / 4, about);
    assert.ok(refers ? lengths[1] < lengths[0] : lengths[1] === lengths[0], about);
  }
}

test('their client: both directions are compressed', { timeout }, async () => {
  for (const [flag, parameters] of SETTINGS) {
    const deflating = await startServer(flag);
    try {
      const socket = new WebSocket(deflating.url, { perMessageDeflate: { threshold: 0, ...parameters } });
      await once(socket, 'open');
      await compressed(socket, flag, parameters);
      socket.terminate();
    } finally {
      await deflating.stop();
    }
  }
});

test('their server: both directions are compressed', { timeout }, async () => {
  for (const [flag, parameters] of SETTINGS) {
    const options = { perMessageDeflate: { threshold: 0, ...parameters } };
    const listening = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
    try {
      await once(listening, 'listening');
      const visited = once(listening, 'connection').then(async ([socket]) => {
        await compressed(socket, flag, parameters);
        socket.close(1000);
      });
      const { ended } = run('--connect', `ws://127.0.0.1:${listening.address().port}/`, flag);
      const [{ code, stderr }] = await Promise.all([ended, visited]);
      assert.equal(code, 0, stderr);
    } finally {
      listening.close();
      listening.clients.forEach((socket) => socket.terminate());
    }
  }
});

test('their client: who does not ask is not compressed to', { timeout }, async () => {
  const deflating = await startServer('--deflate');
  try {
    const socket = new WebSocket(deflating.url, { perMessageDeflate: false });
    await once(socket, 'open');
    assert.equal(socket.extensions, '');
    const seen = tap(socket);
    const answer = once(socket, 'message');
    socket.send(TEXT);
    assert.equal(String((await answer)[0]), TEXT);
    assert.deepEqual(seen().received.map(([first]) => first), [0x81]);
    socket.terminate();
  } finally {
    await deflating.stop();
  }
});
