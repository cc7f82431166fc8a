//! Sets of pieces, one bit each: by the number of their pack and their place in its table.
//!
//! A set of ids would take 32 bytes a piece and more; ten million pieces are 1.3 MB here, and a few bytes for
//! each pack.

use std::collections::BTreeMap;

const WORD: u32 = u64::BITS;

/// Places in the table of one pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// Whether it was not in there before.
    pub fn insert(&mut self, at: u32) -> bool {
        let (word, bit) = split(at);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    pub fn contains(&self, at: u32) -> bool {
        let (word, bit) = split(at);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub fn extend(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    pub fn words(&self) -> &[u64] {
        &self.0
    }

    pub const fn of_words(words: Vec<u64>) -> Self {
        Self(words)
    }
}

fn split(at: u32) -> (usize, u64) {
    let word = usize::try_from(at / WORD).unwrap_or(usize::MAX);
    (word, 1 << (at % WORD))
}

/// Pieces of many packs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks(BTreeMap<u32, Bits>);

impl Marks {
    /// Whether it was not in there before.
    pub fn insert(&mut self, number: u32, at: u32) -> bool {
        self.0.entry(number).or_default().insert(at)
    }

    pub fn contains(&self, number: u32, at: u32) -> bool {
        self.0.get(&number).is_some_and(|bits| bits.contains(at))
    }

    pub fn extend(&mut self, other: &Self) {
        for (number, bits) in &other.0 {
            self.0.entry(*number).or_default().extend(bits);
        }
    }

    /// Those that are not in another set; no pack without any.
    pub fn without(&self, other: &Self) -> Self {
        let mut left = BTreeMap::new();
        for (number, bits) in &self.0 {
            let mut words = bits.0.clone();
            if let Some(other) = other.0.get(number) {
                for (word, less) in words.iter_mut().zip(&other.0) {
                    *word &= !less;
                }
            }
            if words.iter().any(|word| *word != 0) {
                left.insert(*number, Bits(words));
            }
        }
        Self(left)
    }

    pub fn packs(&self) -> impl Iterator<Item = (u32, &Bits)> {
        self.0.iter().map(|(number, bits)| (*number, bits))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn count(&self) -> u64 {
        self.0.values().map(Bits::count).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let mut marks = Marks::default();
        let mut model = BTreeSet::new();
        let mut state = 7_u32;
        for _ in 0..5000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (number, at) = (state >> 30, (state >> 16) % 700);
            assert_eq!(marks.insert(number, at), model.insert((number, at)));
        }
        for number in 0..4 {
            for at in 0..800 {
                assert_eq!(marks.contains(number, at), model.contains(&(number, at)));
            }
        }
        assert_eq!(marks.count(), model.len() as u64);
        let mut both = Marks::default();
        both.insert(0, 799);
        both.extend(&marks);
        assert_eq!(both.count(), model.len() as u64 + 1);
    }
}
