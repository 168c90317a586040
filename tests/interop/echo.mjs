// The echo program as a child process, for the tests in JavaScript.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

// Milliseconds after which a test whose peer says nothing counts as failed.
export const PATIENCE = 60_000;

const MIB = 1 << 20;

// Both kinds, empty, around the borders of the length forms, and 1 MiB of each kind.
export const MESSAGES = [
  'text',
  'žluťoučký kůň 🐟',
  Buffer.from([0x00, 0xff, 0x80, 0x0a]),
  '',
  Buffer.alloc(0),
  'é'.repeat(MIB / 2),
  Buffer.alloc(MIB, 'binary \xff', 'latin1'),
  'a'.repeat(125),
  'a'.repeat(126),
  Buffer.alloc(65535, 1),
  Buffer.alloc(65536, 2),
];

// Starts the server; `stop()` ends it by SIGTERM and insists that it exits 0 without a panic.
export async function startServer() {
  const server = run('--listen', '127.0.0.1:0');
  const [line] = await Promise.race([
    once(createInterface({ input: server.process.stdout }), 'line'),
    server.ended.then(({ code, stderr }) => assert.fail(`the server ended with ${code} before it listened\n${stderr}`)),
  ]);
  const match = /^listening on (ws:\/\/127\.0\.0\.1:(\d+))$/.exec(line);
  assert.ok(match, `the first line on stdout was ${JSON.stringify(line)}`);
  return {
    url: match[1],
    page: `http://127.0.0.1:${match[2]}/`,
    async stop() {
      server.process.kill('SIGTERM');
      const { code, stderr } = await server.ended;
      assert.equal(code, 0, stderr);
    },
  };
}

// Starts the program; `ended` gives its exit code and what it wrote on stderr.
export function run(...args) {
  const child = spawn(process.env.SOCKEYE_ECHO, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, RUST_BACKTRACE: '1' },
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (piece) => (stderr += piece));
  const ended = once(child, 'close').then(([code, signal]) => {
    assert.equal(signal, null, stderr);
    assert.doesNotMatch(stderr, /panicked|stack backtrace/);
    return { code, stderr };
  });
  // Whoever waits for the end hears of a failure; it must not end the tests before.
  ended.catch(() => {});
  return { process: child, ended };
}
