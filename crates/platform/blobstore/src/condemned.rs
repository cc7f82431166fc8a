//! What was collected but may still lie in packs: one object, replaced whole, so that all of it is gone at the
//! same moment, whatever happens.
//!
//! A pack that stays may hold pieces that nothing refers to, and one that goes is removed after others. Were an
//! index made from the packs alone then, it would know a record again of whose children some are gone. So an
//! index passes over what is written here, and here it is written before the first pack goes.
//!
//! Form: `corliss-condemned 1\n`, the number of the data key (4 bytes, little endian), and sealed: a generation
//! (8), the index by which it was decided (16); for each pack its id (16), a number of words (4), and so many words of 8 bytes with a bit for each
//! condemned row of its table. All ones in place of that number: the whole pack is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use corliss_keyring::{KeyError, Keyring};

use crate::backend::Backend;
use crate::index::Index;
use crate::marks::Bits;
use crate::pack::{PackId, Row};
use crate::{BlobError, blocking};

const OBJECT: &str = "condemned";
const MAGIC: &[u8] = b"corliss-condemned 1\n";
const CONTEXT: &[u8] = b"corliss condemned 1";
const WHOLE: u32 = u32::MAX;

/// What of a pack is condemned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All of it: what of it is needed lies elsewhere.
    Whole,
    /// These rows of its table.
    Rows(Bits),
}

/// All that is condemned. What is in memory is never less than what is durable: a piece that a durable
/// generation may condemn is never promised to anybody again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Condemned {
    /// One more with each that is written.
    pub generation: u64,
    /// The index by which it was decided.
    pub index: [u8; 16],
    pub packs: BTreeMap<PackId, Fate>,
    /// Not all of it was written.
    pub is_unsaved: bool,
    /// The object as it was read or written last.
    pub object: Option<Bytes>,
}

impl Condemned {
    pub fn is_whole(&self, pack: PackId) -> bool {
        self.packs.get(&pack) == Some(&Fate::Whole)
    }

    pub fn has(&self, pack: PackId, at: u32) -> bool {
        match self.packs.get(&pack) {
            Some(Fate::Whole) => true,
            Some(Fate::Rows(rows)) => rows.contains(at),
            None => false,
        }
    }

    /// How many rows of a pack that stays are condemned.
    pub fn rows(&self, pack: PackId) -> u64 {
        match self.packs.get(&pack) {
            Some(Fate::Rows(rows)) => rows.count(),
            _ => 0,
        }
    }

    pub fn add_rows(&mut self, pack: PackId, more: &Bits) {
        self.is_unsaved = true;
        let fate = self
            .packs
            .entry(pack)
            .or_insert_with(|| Fate::Rows(Bits::default()));
        if let Fate::Rows(rows) = fate {
            rows.extend(more);
        }
    }

    /// Those rows of a pack's table, with their places, that an index takes.
    pub fn kept(&self, pack: PackId, rows: Vec<Row>) -> Vec<(u32, Row)> {
        let placed = (0..).zip(rows);
        placed.filter(|(at, _)| !self.has(pack, *at)).collect()
    }

    /// The object that says it, as it lies there.
    pub async fn object_in(backend: &dyn Backend) -> Result<Option<Bytes>, BlobError> {
        backend.get(OBJECT).await
    }

    /// What was written last; nothing if nothing was.
    pub async fn load(backend: &dyn Backend, keyring: &Keyring) -> Result<Self, BlobError> {
        match Self::object_in(backend).await? {
            Some(bytes) => Self::read(bytes, backend, keyring).await,
            None => Ok(Self::default()),
        }
    }

    /// What such an object says.
    pub async fn read(bytes: Bytes, backend: &dyn Backend, keyring: &Keyring) -> Result<Self, BlobError> {
        let damaged = || BlobError::CondemnedDamaged {
            path: format!("{OBJECT} in {}", backend.place()),
        };
        let (key, sealed) = bytes
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.split_first_chunk::<4>())
            .ok_or_else(damaged)?;
        let seal = keyring.get(u32::from_le_bytes(*key))?;
        let mut sealed = sealed.to_vec();
        let decoded = blocking(move || {
            Ok(seal
                .open(CONTEXT, &mut sealed)
                .and_then(|plain| Self::decode(plain)))
        });
        let mut condemned = decoded.await?.ok_or_else(damaged)?;
        condemned.object = Some(bytes);
        Ok(condemned)
    }

    /// Writes the next generation; durable when this returns. If it fails it may be durable all the same. The index
    /// is durable before: what it finds elsewhere now it must not look for in what is condemned. Where others may write
    /// it too, theirs is never replaced.
    pub async fn save(
        &mut self,
        backend: &dyn Backend,
        keyring: &Keyring,
        index: &Arc<Index>,
        is_shared: bool,
    ) -> Result<(), BlobError> {
        let by = Arc::clone(index);
        self.index = blocking(move || by.id().and_then(|id| by.persist().map(|()| id))).await?;
        self.generation += 1;
        self.is_unsaved = true;
        let (key, seal) = keyring.current(1)?;
        let plain = self.encode();
        let bytes = blocking(move || {
            let mut bytes = MAGIC.to_vec();
            bytes.extend_from_slice(&key.to_le_bytes());
            seal.seal(CONTEXT, &plain, &mut bytes)?;
            Ok(bytes)
        })
        .await?;
        keyring.settle().await?;
        let bytes = Bytes::from(bytes);
        if !is_shared {
            backend.put(OBJECT, vec![bytes.clone()]).await?;
        } else if !backend
            .put_if(OBJECT, self.object.as_deref(), bytes.clone())
            .await?
        {
            let place = format!("{OBJECT} in {}", backend.place());
            return Err(KeyError::Changed { place }.into());
        }
        self.object = Some(bytes);
        self.is_unsaved = false;
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = self.generation.to_le_bytes().to_vec();
        out.extend_from_slice(&self.index);
        for (pack, fate) in &self.packs {
            out.extend_from_slice(&pack.0);
            match fate {
                Fate::Whole => out.extend_from_slice(&WHOLE.to_le_bytes()),
                Fate::Rows(rows) => {
                    let words = rows.words();
                    // A table has far less rows than four billion words have bits.
                    let count = u32::try_from(words.len()).unwrap_or(WHOLE);
                    out.extend_from_slice(&count.to_le_bytes());
                    words
                        .iter()
                        .for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
                }
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (generation, rest) = bytes.split_first_chunk::<8>()?;
        let (index, mut rest) = rest.split_first_chunk::<16>()?;
        let mut packs = BTreeMap::new();
        while !rest.is_empty() {
            let (pack, more) = rest.split_first_chunk::<16>()?;
            let (count, more) = more.split_first_chunk::<4>()?;
            let count = u32::from_le_bytes(*count);
            let (fate, more) = if count == WHOLE {
                (Fate::Whole, more)
            } else {
                let len = usize::try_from(count).ok()?.checked_mul(8)?;
                let (words, more) = more.split_at_checked(len)?;
                let words = words.chunks_exact(8).filter_map(|word| word.try_into().ok());
                let words = words.map(u64::from_le_bytes).collect();
                (Fate::Rows(Bits::of_words(words)), more)
            };
            packs.insert(PackId(*pack), fate);
            rest = more;
        }
        Some(Self {
            generation: u64::from_le_bytes(*generation),
            index: *index,
            packs,
            is_unsaved: false,
            object: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;
    use corliss_keyring::{MemoryRootKey, MemoryShelf};

    use super::*;
    use crate::MemoryBackend;

    /// Frozen: what was condemned must stay so under a later version.
    #[test]
    fn the_form_is_what_it_was() {
        let mut rows = Bits::default();
        rows.insert(0);
        rows.insert(65);
        let mut condemned = Condemned {
            generation: 258,
            index: [7; 16],
            ..Condemned::default()
        };
        condemned.packs.insert(PackId([1; 16]), Fate::Whole);
        condemned.packs.insert(PackId([2; 16]), Fate::Rows(rows));
        let mut expected = vec![2, 1, 0, 0, 0, 0, 0, 0];
        expected.extend([7; 16]);
        expected.extend([1; 16]);
        expected.extend([255; 4]);
        expected.extend([2; 16]);
        expected.extend([2, 0, 0, 0]);
        expected.extend([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(condemned.encode(), expected);
        assert_eq!(Condemned::decode(&expected), Some(condemned));
        assert_eq!(Condemned::decode(&expected[..expected.len() - 1]), None);
    }

    #[tokio::test]
    async fn what_is_condemned_is_read_as_it_was_written_and_a_change_is_told() {
        let backend = MemoryBackend::default();
        let index = Arc::new(Index::temporary().unwrap());
        let root = Arc::new(MemoryRootKey::new().unwrap());
        let ring = Keyring::open("t", root, Arc::new(MemoryShelf::default()))
            .await
            .unwrap();
        let nothing = Condemned::load(&backend, &ring).await.unwrap();
        assert_eq!(nothing, Condemned::default());
        let mut rows = Bits::default();
        rows.insert(3);
        rows.insert(200);
        let mut condemned = Condemned::default();
        condemned.packs.insert(PackId([1; 16]), Fate::Whole);
        condemned.add_rows(PackId([2; 16]), &rows);
        condemned.save(&backend, &ring, &index, false).await.unwrap();
        let mut stale = condemned.clone();
        condemned.save(&backend, &ring, &index, true).await.unwrap();
        let lost = stale.save(&backend, &ring, &index, true).await.unwrap_err();
        assert_eq!(lost.code(), "keys_changed", "theirs stays");
        let read = Condemned::load(&backend, &ring).await.unwrap();
        assert_eq!((read.generation, &read), (2, &condemned));
        assert!(read.has(PackId([1; 16]), 9) && read.has(PackId([2; 16]), 200));
        assert!(!read.has(PackId([2; 16]), 201) && !read.has(PackId([3; 16]), 0));
        let good = backend.get(OBJECT).await.unwrap().unwrap();
        for at in 0..good.len() {
            let mut flipped = good.to_vec();
            flipped[at] ^= 1;
            backend.put(OBJECT, vec![flipped.into()]).await.unwrap();
            assert!(Condemned::load(&backend, &ring).await.is_err(), "byte {at}");
        }
    }
}
