//! The blocks of prompts that a replica holds: those in use, and those kept for the next prompt that begins
//! with them. The least recently used goes first, the end of a prompt before its beginning.

use std::collections::VecDeque;

/// What is known of one block.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    resident: bool,
    users: u32,
    /// Which of its entries in `unused` counts.
    stamp: u64,
}

/// Blocks by number, which are dense.
#[derive(Debug, Default)]
pub(crate) struct BlockCache {
    blocks: Vec<Block>,
    /// Those without users in the order in which they will go; an entry with an old stamp is void.
    unused: VecDeque<(u64, u64)>,
    stamp: u64,
    resident: u64,
    in_use: u64,
}

impl BlockCache {
    /// An empty cache for blocks numbered below `count`.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            blocks: vec![Block::default(); count],
            ..Self::default()
        }
    }

    /// How many blocks it holds.
    pub(crate) fn resident(&self) -> u64 {
        self.resident
    }

    /// How many of them are in use and cannot go.
    pub(crate) fn in_use(&self) -> u64 {
        self.in_use
    }

    /// How many blocks at a prompt's beginning are there, and how many of those nobody uses now.
    pub(crate) fn matched(&self, blocks: &[u64]) -> (usize, u64) {
        let mut unused = 0;
        let there = blocks.iter().take_while(|block| {
            let block = self.block(**block);
            unused += u64::from(block.resident && block.users == 0);
            block.resident
        });
        (there.count(), unused)
    }

    /// One more user of a block, which is there from now on.
    pub(crate) fn enter(&mut self, number: u64) {
        let Some(block) = self.block_mut(number) else {
            return;
        };
        block.users += 1;
        let (first_user, new) = (block.users == 1, !block.resident);
        block.resident = true;
        self.in_use += u64::from(first_user);
        self.resident += u64::from(new);
    }

    /// One user less of each; the blocks stay as long as there is room.
    pub(crate) fn leave(&mut self, blocks: &[u64]) {
        for number in blocks.iter().rev() {
            self.stamp += 1;
            let stamp = self.stamp;
            let Some(block) = self.block_mut(*number) else {
                continue;
            };
            block.users = block.users.saturating_sub(1);
            if block.users > 0 {
                continue;
            }
            block.stamp = stamp;
            self.in_use -= 1;
            self.unused.push_back((stamp, *number));
        }
        if self.unused.len() as u64 > 2 * self.resident + 64 {
            let blocks = &self.blocks;
            self.unused.retain(|entry| is_current(blocks, *entry));
        }
    }

    /// Lets the least recently used block go; `false` if all are in use.
    pub(crate) fn evict(&mut self) -> bool {
        while let Some(entry) = self.unused.pop_front() {
            if is_current(&self.blocks, entry) {
                if let Some(block) = self.block_mut(entry.1) {
                    block.resident = false;
                }
                self.resident -= 1;
                return true;
            }
        }
        false
    }

    fn block(&self, number: u64) -> Block {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        self.blocks.get(at).copied().unwrap_or_default()
    }

    fn block_mut(&mut self, number: u64) -> Option<&mut Block> {
        self.blocks.get_mut(usize::try_from(number).ok()?)
    }
}

fn is_current(blocks: &[Block], (stamp, number): (u64, u64)) -> bool {
    let at = usize::try_from(number).unwrap_or(usize::MAX);
    blocks
        .get(at)
        .is_some_and(|block| block.resident && block.users == 0 && block.stamp == stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_oldest_goes_first() {
        let mut cache = BlockCache::new(6);
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
