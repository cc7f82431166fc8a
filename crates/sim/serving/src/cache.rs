//! The blocks of prompts that a replica holds: those in use, and those kept for the next prompt that begins
//! with them. The least recently used goes first, the end of a prompt before its beginning.

use std::collections::{BTreeMap, VecDeque};

/// What is known of a block that is there.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    users: u32,
    /// Which of its entries in `unused` counts.
    stamp: u64,
}

/// The blocks that are there, by number.
#[derive(Debug, Default)]
pub(crate) struct BlockCache {
    blocks: BTreeMap<u64, Block>,
    /// Those without users in the order in which they will go; an entry with an old stamp is void.
    unused: VecDeque<(u64, u64)>,
    stamp: u64,
    in_use: u64,
}

impl BlockCache {
    /// How many blocks it holds.
    pub(crate) fn resident(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// How many of them are in use and cannot go.
    pub(crate) fn in_use(&self) -> u64 {
        self.in_use
    }

    /// How many blocks at a prompt's beginning are there, and how many of those nobody uses now.
    pub(crate) fn matched(&self, blocks: &[u64]) -> (usize, u64) {
        let there = blocks.iter().map_while(|number| self.blocks.get(number));
        there.fold((0, 0), |(there, unused), block| {
            (there + 1, unused + u64::from(block.users == 0))
        })
    }

    /// One more user of a block, which is there from now on.
    pub(crate) fn enter(&mut self, number: u64) {
        let block = self.blocks.entry(number).or_default();
        block.users += 1;
        self.in_use += u64::from(block.users == 1);
    }

    /// One user less of each; the blocks stay as long as there is room.
    pub(crate) fn leave(&mut self, blocks: &[u64]) {
        for number in blocks.iter().rev() {
            let Some(block) = self.blocks.get_mut(number) else {
                continue;
            };
            block.users = block.users.saturating_sub(1);
            if block.users == 0 {
                self.stamp += 1;
                block.stamp = self.stamp;
                self.in_use -= 1;
                self.unused.push_back((self.stamp, *number));
            }
        }
        if self.unused.len() > 2 * self.blocks.len() + 64 {
            let blocks = &self.blocks;
            self.unused.retain(|entry| is_current(blocks, *entry));
        }
    }

    /// Lets the least recently used block go; `false` if all are in use.
    pub(crate) fn evict(&mut self) -> bool {
        while let Some(entry) = self.unused.pop_front() {
            if is_current(&self.blocks, entry) {
                self.blocks.remove(&entry.1);
                return true;
            }
        }
        false
    }
}

fn is_current(blocks: &BTreeMap<u64, Block>, (stamp, number): (u64, u64)) -> bool {
    blocks
        .get(&number)
        .is_some_and(|block| block.users == 0 && block.stamp == stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_oldest_goes_first() {
        let mut cache = BlockCache::default();
        for block in [0, 1, 2] {
            cache.enter(block);
        }
        assert!(!cache.evict());
        cache.leave(&[0, 1, 2]);
        // Another prompt with the same first block.
        cache.enter(0);
        cache.enter(5);
        assert_eq!((cache.resident(), cache.in_use()), (4, 2));
        assert!(cache.evict());
        assert_eq!(cache.matched(&[0, 1, 2]), (2, 1));
        assert!(cache.evict());
        assert!(!cache.evict());
        assert_eq!(cache.matched(&[0, 1, 2]), (1, 0));
        cache.leave(&[0, 5]);
        assert_eq!((cache.resident(), cache.in_use()), (2, 0));
    }
}
