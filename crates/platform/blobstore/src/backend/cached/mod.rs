//! A remote backend with copies of its packs in a local one of bounded size: the hot tier.
//!
//! Packs are put once and never changed, so a copy cannot be outdated; everything else goes straight to the
//! remote backend. The first read of a pack fetches the whole of it, once, however many ask: what lies together
//! in a pack was stored together, and is mostly read together. What is read is checked above, piece by piece; a
//! copy of which a piece is damaged is dropped and the pack is read from where it came.
//!
//! The local backend is never needed. If it fails or is full, reads take longer.

mod lru;
mod stats;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::name_locks::NameLocks;
use super::{Backend, DiskBackend, Object};
use crate::BlobError;

use lru::{Copy, Lru};
use stats::Counters;

pub use stats::CacheStats;

/// What is under this name is put once and never changed.
const KEPT: &str = "packs/";
/// Where the copies are in the local backend: `cache/NAME-SIZE-NUMBER`.
const FOLDER: &str = "cache";
/// Packs that are fetched, or written into the local backend, at once: each is whole in memory.
const FLIGHTS: usize = 8;

/// A remote backend with local copies; cheap to clone.
#[derive(Clone)]
pub struct CachedBackend {
    inner: Arc<Inner>,
}

struct Inner {
    remote: Arc<dyn Backend>,
    local: Arc<dyn Backend>,
    state: Mutex<State>,
    flights: Arc<Semaphore>,
    /// One write of a name at a time, so that the copy is of the one that came last.
    writing: NameLocks,
    counters: Counters,
    /// Whether the last write to the local backend failed: told once, not with every pack.
    is_failing: AtomicBool,
}

struct State {
    lru: Lru,
    /// Packs on their way from the remote backend into the local one.
    flights: HashMap<String, Flight>,
    next_number: u64,
}

struct Flight {
    number: u64,
    landed: watch::Receiver<Option<Landed>>,
}

/// What the remote backend answered.
type Landed = Result<Option<Bytes>, BlobError>;

/// Where a pack is to be had.
enum Found {
    Here(Copy),
    Coming(watch::Receiver<Option<Landed>>),
}

impl CachedBackend {
    /// Keeps copies of the remote backend's packs in a folder, of at most so many bytes. Copies that are there
    /// already are used again. The limit should be that of many packs, which have about 16 MiB each.
    ///
    /// # Errors
    /// The folder cannot be used, or another process uses it.
    pub async fn open_folder(
        remote: Arc<dyn Backend>,
        folder: &Path,
        limit_bytes: u64,
    ) -> Result<Self, BlobError> {
        let local = DiskBackend::open(folder).await?;
        Self::open(remote, Arc::new(local), limit_bytes).await
    }

    /// As [`Self::open_folder`], with copies in any backend, which nobody else uses.
    ///
    /// # Errors
    /// The local backend cannot be used.
    pub async fn open(
        remote: Arc<dyn Backend>,
        local: Arc<dyn Backend>,
        limit_bytes: u64,
    ) -> Result<Self, BlobError> {
        let mut found = Vec::new();
        for object in local.list(FOLDER).await? {
            match parse(&object.name) {
                Some((number, copy)) if copy.size_bytes == object.size_bytes => found.push((number, copy)),
                // Cut short, or written to.
                Some(_) => local.remove(&object.name).await?,
                // Not ours. It is left as it is, and takes no part in the limit.
                None => {}
            }
        }
        // In the order in which they were written: when they were used last is not known any more.
        found.sort_by_key(|(number, _)| *number);
        let next_number = found.last().map_or(0, |(number, _)| number + 1);
        let mut lru = Lru::new(limit_bytes);
        let mut superfluous = Vec::new();
        for (_, copy) in found {
            superfluous.extend(lru.found(copy));
        }
        // The limit may be lower than it was the last time.
        superfluous.extend(lru.over(limit_bytes));
        for copy in superfluous {
            local.remove(&copy.file).await?;
            lru.gone(copy.size_bytes);
        }
        let inner = Arc::new(Inner {
            remote,
            local,
            state: Mutex::new(State {
                lru,
                flights: HashMap::new(),
                next_number,
            }),
            flights: Arc::new(Semaphore::new(FLIGHTS)),
            writing: NameLocks::default(),
            counters: Counters::default(),
            is_failing: AtomicBool::new(false),
        });
        Ok(Self { inner })
    }

    /// The counts as they are now.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let counters = &self.inner.counters;
        let state = self.inner.lock();
        CacheStats {
            hits: counters.hits.get(),
            misses: counters.misses.get(),
            bytes_from_cache: counters.bytes_from_cache.get(),
            bytes_from_remote: counters.bytes_from_remote.get(),
            evictions: counters.evictions.get(),
            distrusted: counters.distrusted.get(),
            errors: counters.errors.get(),
            objects: state.lru.len() as u64,
            used_bytes: state.lru.used_bytes(),
            limit_bytes: state.lru.limit_bytes(),
        }
    }

    /// Waits until whatever was on its way into the local backend is there.
    pub async fn settle(&self) {
        let all = u32::try_from(FLIGHTS).unwrap_or(u32::MAX);
        let _ = self.inner.flights.acquire_many(all).await;
    }
}

#[async_trait]
impl Backend for CachedBackend {
    fn place(&self) -> String {
        self.inner.remote.place()
    }

    async fn put(&self, name: &str, parts: Vec<Bytes>) -> Result<(), BlobError> {
        if !name.starts_with(KEPT) {
            return self.inner.remote.put(name, parts).await;
        }
        let _only = self.inner.writing.lock(name).await;
        self.inner.forget(name).await;
        // What was just stored is often what is read next; but nobody waits for its copy.
        let permit = Arc::clone(&self.inner.flights).try_acquire_owned().ok();
        let copied = permit.map(|permit| (permit, Bytes::from(parts.concat())));
        self.inner.remote.put(name, parts).await?;
        // Whoever read meanwhile may have fetched what was there before.
        self.inner.forget(name).await;
        if let Some((permit, bytes)) = copied {
            self.inner.keep_put(name, bytes, permit);
        }
        Ok(())
    }

    /// What may be replaced is never copied.
    async fn put_if(&self, name: &str, expected: Option<&[u8]>, new: Bytes) -> Result<bool, BlobError> {
        self.inner.remote.put_if(name, expected, new).await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError> {
        if !name.starts_with(KEPT) {
            return self.inner.remote.get(name).await;
        }
        let mut found = self.inner.find(name);
        if let Found::Here(copy) = &found {
            let read = self.inner.local.get(&copy.file).await;
            let whole = read.map(|bytes| bytes.filter(|bytes| bytes.len() as u64 == copy.size_bytes));
            if let Some(bytes) = self.inner.usable(copy, whole).await {
                self.inner.hit(bytes.len() as u64);
                return Ok(Some(bytes));
            }
            found = self.inner.find(name);
        }
        match found {
            Found::Coming(landed) => self.inner.landed(landed).await,
            Found::Here(_) => self.inner.remote.get(name).await,
        }
    }

    async fn read(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError> {
        if !name.starts_with(KEPT) {
            return self.inner.remote.read(name, ranges).await;
        }
        let mut found = self.inner.find(name);
        if let Found::Here(copy) = &found {
            if let Some(answer) = self.inner.read_copy(copy, &ranges).await {
                return Ok(answer);
            }
            found = self.inner.find(name);
        }
        match found {
            Found::Coming(landed) => {
                let whole = self.inner.landed(landed).await?;
                Ok(whole.and_then(|whole| cut(&whole, &ranges)))
            }
            Found::Here(_) => self.inner.remote.read(name, ranges).await,
        }
    }

    async fn peek(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError> {
        let copy = self.inner.lock().lru.touch(name);
        if let Some(copy) = copy
            && let Some(answer) = self.inner.read_copy(&copy, &ranges).await
        {
            return Ok(answer);
        }
        self.inner.remote.peek(name, ranges).await
    }

    async fn distrust(&self, name: &str) -> bool {
        let had_copy = self.inner.forget(name).await;
        if had_copy {
            self.inner.counters.distrusted.add(1);
            tracing::warn!(name, "a local copy was damaged and is dropped");
        }
        self.inner.remote.distrust(name).await || had_copy
    }

    async fn size(&self, name: &str) -> Result<Option<u64>, BlobError> {
        self.inner.remote.size(name).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<Object>, BlobError> {
        self.inner.remote.list(folder).await
    }

    async fn make_durable(&self, names: Vec<String>) -> Result<(), BlobError> {
        self.inner.remote.make_durable(names).await
    }

    async fn remove(&self, name: &str) -> Result<(), BlobError> {
        let _only = self.inner.writing.lock(name).await;
        self.inner.forget(name).await;
        let removed = self.inner.remote.remove(name).await;
        self.inner.forget(name).await;
        removed
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The copy, or the flight that brings it; one is started if there is none.
    fn find(self: &Arc<Self>, name: &str) -> Found {
        let mut state = self.lock();
        if let Some(copy) = state.lru.touch(name) {
            return Found::Here(copy);
        }
        if let Some(flight) = state.flights.get(name) {
            return Found::Coming(flight.landed.clone());
        }
        let (sender, landed) = watch::channel(None);
        let number = state.start_flight(name, landed.clone());
        // A task of its own: it goes on for the others when the first who asked gives up.
        tokio::spawn(Arc::clone(self).fetch(name.to_owned(), number, sender));
        Found::Coming(landed)
    }

    async fn fetch(self: Arc<Self>, name: String, number: u64, landed: watch::Sender<Option<Landed>>) {
        let end = EndOfFlight {
            inner: &self,
            name: &name,
            number,
        };
        let Ok(_permit) = self.flights.acquire().await else {
            return;
        };
        match self.remote.get(&name).await {
            Ok(Some(bytes)) => {
                self.counters.bytes_from_remote.add(bytes.len() as u64);
                landed.send_replace(Some(Ok(Some(bytes.clone()))));
                self.keep(&name, number, bytes).await;
            }
            other => {
                // First off the list, so that whoever comes after those who waited asks anew.
                drop(end);
                landed.send_replace(Some(other));
            }
        }
    }

    /// Keeps a copy of what was put, in the background; until then readers get it from memory.
    fn keep_put(self: &Arc<Self>, name: &str, bytes: Bytes, permit: OwnedSemaphorePermit) {
        let (_, landed) = watch::channel(Some(Ok(Some(bytes.clone()))));
        let number = self.lock().start_flight(name, landed);
        let (inner, name) = (Arc::clone(self), name.to_owned());
        tokio::spawn(async move {
            let _end = EndOfFlight {
                inner: &inner,
                name: &name,
                number,
            };
            inner.keep(&name, number, bytes).await;
            drop(permit);
        });
    }

    /// What a flight brings.
    async fn landed(&self, mut landed: watch::Receiver<Option<Landed>>) -> Landed {
        self.counters.misses.add(1);
        let answer = landed.wait_for(Option::is_some).await;
        answer.ok().and_then(|answer| answer.clone()).unwrap_or_else(|| {
            Err(BlobError::Io {
                action: "fetch from",
                path: self.remote.place(),
                message: "the fetch was broken off".to_owned(),
            })
        })
    }

    /// Ranges of a copy; None if it cannot be used, and is dropped.
    async fn read_copy(&self, copy: &Copy, ranges: &[Range<u64>]) -> Option<Option<Vec<BytesMut>>> {
        let size_bytes = copy.size_bytes;
        if ranges
            .iter()
            .any(|range| range.start > range.end || range.end > size_bytes)
        {
            return Some(None);
        }
        // The last one is empty, and there only if nothing was cut off since it was written.
        let all = ranges
            .iter()
            .cloned()
            .chain(std::iter::once(size_bytes..size_bytes));
        let read = self.local.read(&copy.file, all.collect()).await;
        let mut parts = self.usable(copy, read).await?;
        parts.pop();
        self.hit(ranges.iter().map(|range| range.end - range.start).sum());
        Some(Some(parts))
    }

    /// What was read of a copy; one that cannot be read is dropped.
    async fn usable<T>(&self, copy: &Copy, read: Result<Option<T>, BlobError>) -> Option<T> {
        if let Ok(Some(read)) = read {
            return Some(read);
        }
        let taken = self.lock().lru.take_this(copy);
        // It may have made room for another between its finding and its reading: that is no error.
        if let Some(copy) = taken {
            self.counters.errors.add(1);
            let error = read.err().map(|error| error.to_string());
            tracing::warn!(copy.name, error, "a local copy cannot be read and is dropped");
            self.remove_copy(copy).await;
        }
        None
    }

    fn hit(&self, bytes: u64) {
        self.counters.hits.add(1);
        self.counters.bytes_from_cache.add(bytes);
    }

    /// Drops the copy, and keeps a flight from making another; answers whether there was a copy.
    async fn forget(&self, name: &str) -> bool {
        let taken = {
            let mut state = self.lock();
            state.flights.remove(name);
            state.lru.take(name)
        };
        let was_there = taken.is_some();
        if let Some(copy) = taken {
            self.remove_copy(copy).await;
        }
        was_there
    }

    /// Removes what is on its way out; answers whether it is gone.
    async fn remove_copy(&self, copy: Copy) -> bool {
        let removed = self.local.remove(&copy.file).await;
        let mut state = self.lock();
        match removed {
            Ok(()) => state.lru.gone(copy.size_bytes),
            Err(_) => {
                self.counters.errors.add(1);
                state.lru.stays(copy);
            }
        }
        removed.is_ok()
    }

    /// Reserves so many bytes and removes what is in their way; false, with nothing reserved, if it cannot.
    async fn make_room(&self, size_bytes: u64) -> bool {
        let Some(victims) = self.lock().lru.reserve(size_bytes) else {
            return false;
        };
        let mut is_made = true;
        for victim in victims {
            self.counters.evictions.add(1);
            is_made &= self.remove_copy(victim).await;
        }
        if !is_made {
            self.lock().lru.gone(size_bytes);
        }
        is_made
    }

    /// Writes a copy, unless the flight that brought it was called off meanwhile. Failing is no harm.
    async fn keep(&self, name: &str, number: u64, bytes: Bytes) {
        let size_bytes = bytes.len() as u64;
        if !self.make_room(size_bytes).await {
            return;
        }
        let copy = Copy {
            name: name.to_owned(),
            file: format!("{FOLDER}/{name}-{size_bytes}-{number}"),
            size_bytes,
        };
        let written = self.local.put(&copy.file, vec![bytes]).await;
        let was_failing = self.is_failing.swap(written.is_err(), Ordering::Relaxed);
        if let Err(error) = &written {
            self.counters.errors.add(1);
            if !was_failing {
                let place = self.local.place();
                tracing::warn!(place, %error, "packs are not copied: the copies cannot be written");
            }
        }
        let superfluous = {
            let mut state = self.lock();
            let is_current = state
                .flights
                .get(name)
                .is_some_and(|flight| flight.number == number);
            match written.is_ok() && is_current {
                true => state.lru.keep(copy),
                false => Some(copy),
            }
        };
        if let Some(copy) = superfluous {
            self.remove_copy(copy).await;
        }
    }
}

impl State {
    fn start_flight(&mut self, name: &str, landed: watch::Receiver<Option<Landed>>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.flights.insert(name.to_owned(), Flight { number, landed });
        number
    }
}

/// Takes a flight off the list when it ends, however it does.
struct EndOfFlight<'a> {
    inner: &'a Inner,
    name: &'a str,
    number: u64,
}

impl Drop for EndOfFlight<'_> {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        if state
            .flights
            .get(self.name)
            .is_some_and(|flight| flight.number == self.number)
        {
            state.flights.remove(self.name);
        }
    }
}

/// The copy, with its number, that a name in the local backend stands for.
fn parse(file: &str) -> Option<(u64, Copy)> {
    let rest = file.strip_prefix(FOLDER)?.strip_prefix('/')?;
    let (rest, number) = rest.rsplit_once('-')?;
    let (name, size_bytes) = rest.rsplit_once('-')?;
    let copy = Copy {
        name: name.starts_with(KEPT).then(|| name.to_owned())?,
        file: file.to_owned(),
        size_bytes: size_bytes.parse().ok()?,
    };
    Some((number.parse().ok()?, copy))
}

/// Ranges of bytes, each in memory of its own.
fn cut(whole: &[u8], ranges: &[Range<u64>]) -> Option<Vec<BytesMut>> {
    let part = |range: &Range<u64>| {
        let (start, end) = (
            usize::try_from(range.start).ok()?,
            usize::try_from(range.end).ok()?,
        );
        whole.get(start..end).map(BytesMut::from)
    };
    ranges.iter().map(part).collect()
}
