// A TCP door before a server: shut, its connections break and new ones fail, while the
// server goes on. With a `delay` (ms) it makes the server seem far away.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Door {
  #target;
  #delay;
  #server;
  #sockets = new Set();
  port;

  static async to(port, { delay = 0 } = {}) {
    const door = new Door();
    door.#target = port;
    door.#delay = delay;
    await door.open();
    return door;
  }

  get page() {
    return `http://127.0.0.1:${this.port}/`;
  }

  async open() {
    this.#server = createServer((outside) => {
      const inside = connect(this.#target, '127.0.0.1');
      for (const [one, other] of [[outside, inside], [inside, outside]]) {
        this.#sockets.add(one);
        one.on('error', () => {});
        const later = (act) => setTimeout(act, this.#delay);
        one.on('data', (piece) => later(() => other.write(piece)));
        one.on('close', () => {
          this.#sockets.delete(one);
          later(() => other.end());
        });
      }
    });
    this.#server.listen(this.port ?? 0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = this.#server.address().port;
  }

  async shut() {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }
}
