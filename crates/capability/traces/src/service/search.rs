//! Searching traces.
//!
//! The store answers what its indexes can. Where a filter speaks of what lies packed, or is a pattern, the traces that
//! the store lets through are looked into here, in order, a piece at a time; a call looks into a bounded number and
//! answers what it has with a token that goes on where it ended. Clients follow tokens until they have enough.

use std::collections::BTreeMap;
use std::sync::Arc;

use corliss_mlflow_wire::{WireError, offset_of, token_of};

use super::filter::{Wanted, read_filter, read_order};
use super::matching::any_span;
use super::read::infos_within;
use super::{Traces, apart, parts};
use crate::store::{self, Candidates, Head, Part};
use crate::types::{Page, TraceInfo};
use crate::{TracesError, limits};

/// What a search looks for and how it pages.
#[derive(Debug, Clone, Default)]
pub struct SearchScope {
    /// Experiments to look in.
    pub experiment_ids: Vec<i64>,
    /// Comparisons joined by AND.
    pub filter: String,
    /// Keys with directions.
    pub order_by: Vec<String>,
    /// Traces of a page.
    pub max_results: Option<i64>,
    /// From the page before.
    pub page_token: Option<String>,
}

/// Traces to look into at a time.
const PIECE: i64 = 200;

/// What a piece of a search found.
pub(super) struct Piece {
    pub(super) heads: Vec<Head>,
    /// What is known about each; empty where no pattern asks about it.
    infos: Vec<TraceInfo>,
    /// By number, the parts of each one's spans; empty where no filter speaks of them.
    parts: BTreeMap<i64, Vec<Part>>,
    pub(super) bytes: u64,
    /// Nothing follows it.
    pub(super) last: bool,
}

impl Traces {
    /// A page of traces, without their spans.
    ///
    /// # Errors
    /// The filter, the order, the limit or the token is wrong.
    pub async fn search(&self, scope: SearchScope) -> Result<Page<TraceInfo>, TracesError> {
        let limit = limit_of(scope.max_results)?;
        if scope.experiment_ids.len() > limits::SEARCH_EXPERIMENTS {
            return Err(TracesError::too_many(
                "locations",
                "experiments",
                limits::SEARCH_EXPERIMENTS,
                "search them in several calls",
            ));
        }
        let offset = i64::try_from(offset_of(scope.page_token.as_deref())?).unwrap_or(i64::MAX);
        let mut wanted = read_filter(&scope.filter)?;
        let candidates = Candidates {
            experiments: scope.experiment_ids,
            filters: std::mem::take(&mut wanted.filters),
            order: read_order(&scope.order_by)?,
        };
        if wanted.is_of_rows() {
            return self.page(candidates, limit, offset).await;
        }
        self.look_into(Arc::new(candidates), Arc::new(wanted), limit, offset)
            .await
    }

    /// A page whose filters the store answers alone.
    async fn page(
        &self,
        wanted: Candidates,
        limit: i64,
        offset: i64,
    ) -> Result<Page<TraceInfo>, TracesError> {
        self.store
            .read(move |tx| {
                // One row more than the page holds tells whether another follows.
                let mut heads = store::candidates(tx, &wanted, limit + 1, offset)?;
                let more = heads.len() as i64 > limit;
                heads.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                let items = infos_within(tx, &heads)?;
                let more = more || items.len() < heads.len();
                let next = offset.saturating_add(items.len() as i64);
                Ok(Page {
                    items,
                    next_page_token: more.then(|| token(next)),
                })
            })
            .await
    }

    async fn look_into(
        &self,
        candidates: Arc<Candidates>,
        wanted: Arc<Wanted>,
        limit: i64,
        offset: i64,
    ) -> Result<Page<TraceInfo>, TracesError> {
        let (mut at, mut bytes, mut known) = (offset, 0, 0);
        let mut items: Vec<TraceInfo> = Vec::new();
        loop {
            let piece = self
                .piece(Arc::clone(&candidates), Arc::clone(&wanted), at)
                .await?;
            let (looked_at, last) = (piece.heads.len() as i64, piece.last);
            bytes += piece.bytes;
            let tests = Arc::clone(&wanted);
            let mut found = apart(move || passing(&tests, piece)).await??;
            let room = usize::try_from(limit).unwrap_or(usize::MAX) - items.len();
            let places: Vec<i64> = found.iter().map(|(index, _)| at.saturating_add(*index)).collect();
            found.truncate(room);
            let infos = self.infos_of_heads(found).await?;
            // The first that has no place on the page, for lack of room or of bytes.
            let beyond = places.get(infos.len()).map(|place| token(*place));
            known += infos.iter().map(TraceInfo::size_bytes).sum::<usize>();
            items.extend(infos);
            if beyond.is_some() {
                return Ok(Page {
                    items,
                    next_page_token: beyond,
                });
            }
            at = at.saturating_add(looked_at);
            if last {
                return Ok(Page {
                    items,
                    next_page_token: None,
                });
            }
            // A full page is answered at once: whether anything follows, the next call finds out.
            let enough = items.len() as i64 == limit
                || at - offset >= limits::SEARCH_EXAMINED
                || bytes >= limits::SEARCH_BYTES
                || known >= limits::INFOS_BYTES;
            if enough {
                return Ok(Page {
                    items,
                    next_page_token: Some(token(at)),
                });
            }
        }
    }

    /// Candidates from an offset on, as many as are looked into at a time, with what the tests ask about.
    pub(super) async fn piece(
        &self,
        candidates: Arc<Candidates>,
        wanted: Arc<Wanted>,
        at: i64,
    ) -> Result<Piece, TracesError> {
        self.store
            .read(move |tx| {
                let mut heads = store::candidates(tx, &candidates, PIECE, at)?;
                let mut last = (heads.len() as i64) < PIECE;
                let (mut bytes, mut parts) = (0, BTreeMap::new());
                if !wanted.spans.is_empty() {
                    last &= !fit(&mut heads);
                    bytes = heads.iter().map(|head| head.span_bytes.unsigned_abs()).sum();
                    let numbers: Vec<i64> = heads.iter().map(|head| head.number).collect();
                    parts = store::contents_of(tx, &numbers)?;
                }
                let mut infos = Vec::new();
                if !wanted.infos.is_empty() {
                    infos = infos_within(tx, &heads)?;
                    last &= infos.len() == heads.len();
                    heads.truncate(infos.len());
                }
                Ok::<_, TracesError>(Piece {
                    infos,
                    heads,
                    parts,
                    bytes,
                    last,
                })
            })
            .await
    }

    async fn infos_of_heads(&self, found: Vec<(i64, Head)>) -> Result<Vec<TraceInfo>, TracesError> {
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let heads: Vec<Head> = found.into_iter().map(|(_, head)| head).collect();
        self.store.read(move |tx| infos_within(tx, &heads)).await
    }
}

/// Leaves as many traces as are unpacked at a time, and one at least; answers whether some had to go.
fn fit(heads: &mut Vec<Head>) -> bool {
    const BYTES: u64 = 32 * 1024 * 1024;
    let before = heads.len();
    let mut bytes = 0;
    let over = heads.iter().position(|head| {
        bytes += head.span_bytes.unsigned_abs();
        bytes > BYTES
    });
    heads.truncate(over.map_or(before, |over| over.max(1)));
    heads.len() < before
}

/// The traces of a piece that pass, each with its place in it.
pub(super) fn passing(wanted: &Wanted, mut piece: Piece) -> Result<Vec<(i64, Head)>, TracesError> {
    let mut infos = piece.infos.iter();
    let mut found = Vec::new();
    for (index, head) in (0_i64..).zip(piece.heads) {
        if infos
            .next()
            .is_some_and(|info| !wanted.infos.iter().all(|test| test.passes(info)))
        {
            continue;
        }
        let parts = piece.parts.remove(&head.number).unwrap_or_default();
        if wanted.spans.is_empty() || any_span(&wanted.spans, &parts::unpack(&head.trace_id, &parts)?) {
            found.push((index, head));
        }
    }
    Ok(found)
}

fn token(offset: i64) -> String {
    token_of(offset.unsigned_abs())
}

fn limit_of(asked: Option<i64>) -> Result<i64, TracesError> {
    match asked {
        None => Ok(limits::SEARCH_DEFAULT),
        Some(limit) if limit < 1 => Err(TracesError::invalid(format!(
            "Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer"
        ))),
        Some(limit) if limit > limits::SEARCH_MAX => {
            Err(WireError::wrong_type("max_results", &limit.into()).into())
        }
        Some(limit) => Ok(limit),
    }
}
