// The programs as child processes, for the tests in JavaScript.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

// Milliseconds after which a test whose peer says nothing counts as failed.
export const PATIENCE = 60_000;

// Starts `echo`, `chat` or `presence` on a free port, or on the one that `--listen` names.
// `stop()` ends it by SIGTERM and insists that it exits 0 without a panic.
export async function startServer(program, ...args) {
  const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
  const server = run(program, ...listen, ...adapter(), ...args);
  const [line] = await Promise.race([
    once(createInterface({ input: server.process.stdout }), 'line'),
    server.ended.then(({ code, stderr }) => assert.fail(`${program} ended with ${code} before it listened\n${stderr}`)),
  ]);
  const match = /^listening on (ws:\/\/127\.0\.0\.1:(\d+))$/.exec(line);
  assert.ok(match, `the first line on stdout was ${JSON.stringify(line)}`);
  return {
    url: match[1],
    port: Number(match[2]),
    page: `http://127.0.0.1:${match[2]}/`,
    async stop() {
      server.process.kill('SIGTERM');
      const { code, stderr } = await server.ended;
      assert.equal(code, 0, stderr);
    },
  };
}

// Starts the program; `ended` gives its exit code and what it wrote on both pipes.
export function run(program, ...args) {
  const child = spawn(process.env[`SOCKEYE_${program.toUpperCase()}`], args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, RUST_BACKTRACE: '1' },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (piece) => (stdout += piece));
  child.stderr.setEncoding('utf8').on('data', (piece) => (stderr += piece));
  const ended = once(child, 'close').then(([code, signal]) => {
    assert.equal(signal, null, stderr);
    assert.doesNotMatch(stderr, /panicked|stack backtrace/);
    return { code, stdout, stderr };
  });
  // Whoever waits for the end hears of a failure; it must not end the tests before.
  ended.catch(() => {});
  return { process: child, ended };
}

function adapter() {
  const { SOCKEYE_ADAPTER: name } = process.env;
  return name ? ['--adapter', name] : [];
}
