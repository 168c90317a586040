//! RFC 7692 §7.1.2: no reference goes further back than was agreed on. A decompressor with
//! a larger window would never notice, so this one is our own.

use super::*;

/// Reads the bits of DEFLATE (RFC 1951), and keeps nothing but the longest distance.
#[derive(Default)]
struct Reader {
    bytes: Vec<u8>,
    bit: usize,
    made: usize,
    longest: usize,
}

/// The canonical code of §3.2.2, as counts per length and symbols in order.
struct Code {
    counts: [u16; 16],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        lengths
            .iter()
            .for_each(|&len| counts[usize::from(len)] += 1);
        counts[0] = 0;
        let mut symbols: Vec<u16> = (0..lengths.len() as u16)
            .filter(|&symbol| lengths[usize::from(symbol)] > 0)
            .collect();
        symbols.sort_by_key(|&symbol| lengths[usize::from(symbol)]);
        Self { counts, symbols }
    }
}

impl Reader {
    fn bits(&mut self, count: usize) -> usize {
        (0..count).fold(0, |value, place| {
            let bit = self.bytes[self.bit / 8] >> (self.bit % 8) & 1;
            self.bit += 1;
            value | usize::from(bit) << place
        })
    }

    fn symbol(&mut self, code: &Code) -> usize {
        let (mut value, mut first, mut index) = (0, 0, 0);
        for len in 1..16 {
            value |= self.bits(1);
            let count = usize::from(code.counts[len]);
            if value < first + count {
                return usize::from(code.symbols[index + value - first]);
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        panic!("no such code")
    }

    fn codes(&mut self) -> (Code, Code) {
        const ORDER: [usize; 19] = [
            16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
        ];
        let (literals, distances, lengths) =
            (self.bits(5) + 257, self.bits(5) + 1, self.bits(4) + 4);
        let mut of_lengths = [0; 19];
        for place in &ORDER[..lengths] {
            of_lengths[*place] = self.bits(3) as u8;
        }
        let of_lengths = Code::new(&of_lengths);
        let mut all: Vec<u8> = Vec::new();
        while all.len() < literals + distances {
            let (len, count) = match self.symbol(&of_lengths) {
                16 => (*all.last().expect("not the first"), 3 + self.bits(2)),
                17 => (0, 3 + self.bits(3)),
                18 => (0, 11 + self.bits(7)),
                len => (len as u8, 1),
            };
            all.extend(core::iter::repeat_n(len, count));
        }
        let (literals, distances) = all.split_at(literals);
        (Code::new(literals), Code::new(distances))
    }

    fn fixed() -> (Code, Code) {
        let mut literals = [8; 288];
        literals[144..256].fill(9);
        literals[256..280].fill(7);
        (Code::new(&literals), Code::new(&[5; 30]))
    }

    /// All blocks up to the end of the bytes.
    fn run(&mut self) {
        while self.bit + 8 <= self.bytes.len() * 8 {
            let _is_final = self.bits(1);
            let (literals, distances) = match self.bits(2) {
                0 => {
                    self.bit = self.bit.next_multiple_of(8);
                    let len = self.bits(16);
                    self.bits(16);
                    self.bit += 8 * len;
                    self.made += len;
                    continue;
                }
                1 => Self::fixed(),
                _ => self.codes(),
            };
            loop {
                match self.symbol(&literals) {
                    256 => break,
                    0..256 => self.made += 1,
                    symbol => {
                        let extra = match symbol {
                            257..265 | 285 => 0,
                            _ => (symbol - 261) / 4,
                        };
                        let base = match symbol {
                            285 => 258,
                            257..265 => symbol - 254,
                            _ => 3 + ((4 + (symbol - 265) % 4) << extra),
                        };
                        let len = base + self.bits(extra);
                        let symbol = self.symbol(&distances);
                        let extra = (symbol / 2).saturating_sub(1);
                        let base = match symbol {
                            0..2 => symbol + 1,
                            _ => 1 + ((2 + symbol % 2) << extra),
                        };
                        let distance = base + self.bits(extra);
                        assert!(distance <= self.made, "before the beginning");
                        self.longest = self.longest.max(distance);
                        self.made += len;
                    }
                }
            }
        }
    }
}

#[test]
fn no_reference_goes_further_back_than_the_window() {
    // Words that come again at any distance, and runs.
    let text = prose(120_000) + &"abc".repeat(10_000) + &prose(60_000);
    for bits in 8..=15 {
        let mut longest = 0;
        // One for each of the algorithms.
        for level in [1, 2, 3, 7] {
            for takeover in [false, true] {
                let window = Window { bits, takeover };
                let mut bench = bench(Role::Server, window, |config| {
                    config.hard_mark = 1 << 24;
                    config.deflate = Some(crate::Deflate {
                        level,
                        min_size: 1,
                        ..crate::Deflate::default()
                    });
                });
                let mut reader = Reader::default();
                for message in [&text[..1000], &text[1000..], &text[..5000]] {
                    bench.connection.sender().send(message).expect("open");
                    let (first, payload) = bench.raw_frames().remove(0);
                    assert_eq!(first, 0xc1);
                    reader.bytes = [&payload[..], &[0, 0, 0xff, 0xff]].concat();
                    reader.bit = 0;
                    if !takeover {
                        reader.made = 0;
                    }
                    let before = reader.made;
                    reader.run();
                    assert_eq!(reader.made - before, message.len(), "{bits} {level}");
                }
                assert!(
                    reader.longest <= window.size(),
                    "{bits} {level}: {}",
                    reader.longest
                );
                longest = longest.max(reader.longest);
            }
        }
        // And the window is used.
        let most = (1 << bits.max(9)) - 262;
        assert!(longest * 10 > most * 9, "{bits}: {longest}");
    }
}
