//! Output as the system takes it.

use std::io::IoSlice;

use sockeye_core::Output;

/// Slices in one vectored write.
pub const SLICES: usize = 16;

/// Puts the beginning of `output` into `slices`, and returns those that are filled.
pub fn gather<'s, 'o>(
    output: &Output<'o>,
    slices: &'s mut [IoSlice<'o>; SLICES],
) -> &'s [IoSlice<'o>] {
    let mut filled = 0;
    for (place, slice) in slices.iter_mut().zip(output.slices()) {
        *place = IoSlice::new(slice);
        filled += 1;
    }
    slices.get(..filled).unwrap_or_default()
}
