// What is on the wire, for the tests in JavaScript.

// The first byte and the payload's length of each frame.
export function frames(wire) {
  const found = [];
  for (let at = 0; at < wire.length; ) {
    const [first, second] = wire.subarray(at);
    at += 2;
    let length = second & 0x7f;
    if (length === 126) [length, at] = [wire.readUInt16BE(at), at + 2];
    else if (length === 127) [length, at] = [Number(wire.readBigUInt64BE(at)), at + 8];
    at += (second & 0x80 ? 4 : 0) + length;
    found.push([first, length]);
  }
  return found;
}

// What each side is told to compress with, and whether either refers to earlier messages.
export const takeover = (flag) => ({
  ours: flag.includes('takeover'),
  theirs: flag.includes('takeover') && !flag.includes('send-takeover'),
});
