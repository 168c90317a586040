// The echo program, and what is sent to it.
import * as programs from '../support/programs.mjs';

export const { PATIENCE } = programs;
export const startServer = (...args) => programs.startServer('echo', ...args);
export const run = (...args) => programs.run('echo', ...args);

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
