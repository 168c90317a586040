//! Numbered places for the connections of a thread.

/// Values that have a number while they are here.
///
/// They are kept in blocks that stay where they are: a table that doubled would leave the
/// smaller ones it had been behind as holes in the heap, half as large as all it holds,
/// and would stop the thread while it moved.
pub(crate) struct Places<T> {
    blocks: Vec<Box<[Option<T>]>>,
    vacant: Vec<u32>,
    len: u32,
}

/// Places in a block.
const BLOCK: usize = 64;

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            vacant: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Places<T> {
    /// The place that [`fill`](Self::fill) is to be called with next.
    pub(crate) fn next_vacant(&self) -> u32 {
        self.vacant.last().copied().unwrap_or(self.end())
    }

    /// Puts `value` in the next vacant place.
    pub(crate) fn fill(&mut self, value: T) {
        let place = self.next_vacant();
        if self.vacant.pop().is_none() {
            self.blocks.push((0..BLOCK).map(|_| None).collect());
            // The lowest is taken first, then the others in turn.
            self.vacant.extend((place + 1..self.end()).rev());
        }
        if let Some(slot) = self.slot(place) {
            *slot = Some(value);
            self.len += 1;
        }
    }

    /// Takes a value out; its place is vacant then.
    pub(crate) fn take(&mut self, place: u32) -> Option<T> {
        let value = self.slot(place)?.take()?;
        self.vacant.push(place);
        self.len -= 1;
        Some(value)
    }

    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.slot(place)?.as_mut()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        let slots = self.blocks.iter_mut().flat_map(|block| block.iter_mut());
        (0..)
            .zip(slots)
            .filter_map(|(place, slot)| Some((place, slot.as_mut()?)))
    }

    /// Places from here on have never been.
    pub(crate) fn end(&self) -> u32 {
        (self.blocks.len() * BLOCK) as u32
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    fn slot(&mut self, place: u32) -> Option<&mut Option<T>> {
        let place = place as usize;
        self.blocks.get_mut(place / BLOCK)?.get_mut(place % BLOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_in_turn_and_again_when_they_are_vacant() {
        let mut places = Places::default();
        for n in 0..200 {
            assert_eq!(places.next_vacant(), n);
            places.fill(n);
        }
        assert_eq!((places.take(7), places.take(150)), (Some(7), Some(150)));
        assert_eq!((places.take(7), places.take(1000)), (None, None));
        assert_eq!(places.len(), 198);
        places.fill(1);
        places.fill(2);
        assert_eq!(places.get_mut(150), Some(&mut 1));
        assert_eq!(places.get_mut(7), Some(&mut 2));
        assert_eq!(places.next_vacant(), 200);
        let mut seen: Vec<u32> = places.iter_mut().map(|(place, _)| place).collect();
        seen.dedup();
        assert!(seen.into_iter().eq(0..200));
    }
}
