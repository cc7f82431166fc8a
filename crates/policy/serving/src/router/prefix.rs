//! What a replica's prefix cache probably holds: the blocks of the prompts that were sent there.
//!
//! A block's number stands for its tokens *and all before them*, so a prompt's first k blocks are cached where
//! the k-th is. This is a guess of the gateway's, bounded as the replica's cache is: what was used least
//! recently is forgotten first, the end of a prompt before its beginning.

use std::collections::{BTreeMap, VecDeque};

/// The blocks of one replica.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PrefixIndex {
    /// Block -> when it was used last.
    used: BTreeMap<u64, u64>,
    /// In order of use; an entry whose block was used again since is void.
    order: VecDeque<(u64, u64)>,
    uses: u64,
}

impl PrefixIndex {
    /// How many blocks at the prompt's beginning are there.
    pub(super) fn matched(&self, blocks: &[u64]) -> usize {
        // A block is forgotten after all that follow it, so "is there" holds up to some block and not beyond.
        blocks.partition_point(|block| self.used.contains_key(block))
    }

    /// The prompt was sent there.
    pub(super) fn used(&mut self, blocks: &[u64], capacity: usize) {
        for block in blocks.iter().rev() {
            self.uses += 1;
            self.used.insert(*block, self.uses);
            self.order.push_back((self.uses, *block));
        }
        while self.used.len() > capacity {
            let Some((use_, block)) = self.order.pop_front() else {
                break;
            };
            if self.used.get(&block) == Some(&use_) {
                self.used.remove(&block);
            }
        }
        if self.order.len() > 2 * self.used.len() + 64 {
            let used = &self.used;
            self.order.retain(|(use_, block)| used.get(block) == Some(use_));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_beginning_counts() {
        let mut index = PrefixIndex::default();
        index.used(&[1, 2, 3], 10);
        index.used(&[1, 20], 10);
        assert_eq!(index.matched(&[1, 2, 3, 4]), 3);
        assert_eq!(index.matched(&[1, 20, 30]), 2);
        assert_eq!(index.matched(&[2, 3]), 2, "a block stands for all before it");
        assert_eq!(index.matched(&[9]), 0);
    }

    #[test]
    fn the_end_of_the_oldest_prompt_is_forgotten_first() {
        let mut index = PrefixIndex::default();
        index.used(&[1, 2, 3], 4);
        index.used(&[1, 20, 21], 4);
        assert_eq!(index.matched(&[1, 2, 3]), 2);
        assert_eq!(index.matched(&[1, 20, 21]), 3);
    }

    proptest! {
        /// Chains of a tree: whatever is used, the index is bounded, and a block is never there without its parent.
        #[test]
        fn bounded_and_whole(capacity in 1_usize..40, prompts in prop::collection::vec(1_u64..500, 1..200)) {
            let mut index = PrefixIndex::default();
            for leaf in prompts {
                // The path from the root of a binary heap to `leaf`.
                let mut chain: Vec<u64> = std::iter::successors(Some(leaf), |at| (*at > 1).then_some(at / 2)).collect();
                chain.reverse();
                index.used(&chain, capacity);
                prop_assert!(index.used.len() <= capacity);
                prop_assert!(index.order.len() <= 2 * index.used.len() + 64);
                prop_assert_eq!(index.matched(&chain), chain.len().min(capacity));
                for block in index.used.keys() {
                    prop_assert!(*block == 1 || index.used.contains_key(&(block / 2)));
                }
            }
        }
    }
}
