//! `cargo +nightly fuzz run deflate`; built without the fuzzer it replays the files it is given.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_fuzz::deflate(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    let mut paths = std::env::args_os().skip(1);
    paths.try_for_each(|path| sockeye_fuzz::replay(path.as_ref(), sockeye_fuzz::deflate))
}
