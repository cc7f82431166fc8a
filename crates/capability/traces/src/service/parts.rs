//! Parts of a trace's spans: packing, unpacking, and joining small ones.
//!
//! Clients send a span when it ends, so a trace arrives in many pieces. Each is a row of its own, which makes taking
//! it cheap; eight rows of a size are joined to one of the next, which keeps them few and writes each span only a
//! handful of times. Joining happens beside the call that made it due, and gives way if somebody else was faster.

use std::cell::RefCell;
use std::collections::BTreeMap;

use zstd::bulk::Decompressor;

use super::{Traces, apart, totals};
use crate::json::spaced;
use crate::span::Span;
use crate::store::{self, Part};
use crate::{TracesError, limits};

/// Of zstd: beyond it time grows faster than what it saves.
const LEVEL: i32 = 3;

/// Spans as the content of a part, one JSON text a line, and how long it is unpacked.
pub(super) fn pack(spans: &[Span]) -> Result<(Vec<u8>, usize), TracesError> {
    let lines: Vec<String> = spans.iter().map(spaced).collect();
    pack_text(lines.join("\n").as_bytes())
}

fn pack_text(text: &[u8]) -> Result<(Vec<u8>, usize), TracesError> {
    let packed = zstd::bulk::compress(text, LEVEL)
        .map_err(|error| TracesError::Malformed(format!("the spans cannot be packed: {error}")))?;
    Ok((packed, text.len()))
}

fn unpack_text(trace_id: &str, part: &Part) -> Result<Vec<u8>, TracesError> {
    thread_local! {
        /// Setting one up takes longer than unpacking a small part.
        static UNPACKER: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
    }
    let most = usize::try_from(part.raw_bytes).unwrap_or(0);
    UNPACKER
        .with_borrow_mut(|unpacker| unpacker.as_mut()?.decompress(&part.content, most).ok())
        .ok_or_else(|| damaged(trace_id))
}

fn damaged(trace_id: &str) -> TracesError {
    TracesError::Damaged {
        trace_id: trace_id.to_owned(),
    }
}

/// The spans of parts: each once, as it was sent last; roots first, then by start.
pub(super) fn unpack(trace_id: &str, parts: &[Part]) -> Result<Vec<Span>, TracesError> {
    let mut spans: BTreeMap<[u8; 8], Span> = BTreeMap::new();
    for part in parts {
        let text = unpack_text(trace_id, part)?;
        for line in text.split(|byte| *byte == b'\n') {
            let span: Span = serde_json::from_slice(line).map_err(|_| damaged(trace_id))?;
            spans.insert(span.id, span);
        }
    }
    let mut spans: Vec<Span> = spans.into_values().collect();
    spans.sort_by_key(|span| (span.parent.is_some(), span.start_ns, span.id));
    Ok(spans)
}

/// Which parts to join: those at the end that are of one level and enough, or all if the trace is complete.
fn due(sizes: &[(i64, i64)], complete: bool) -> Option<Vec<i64>> {
    if complete && sizes.len() > limits::PARTS_OF_A_LEVEL {
        return Some(sizes.iter().map(|(part, _)| *part).collect());
    }
    let level = sizes.last()?.1;
    let same: Vec<i64> = sizes
        .iter()
        .rev()
        .take_while(|(_, other)| *other == level)
        .map(|(part, _)| *part)
        .collect();
    (same.len() >= limits::PARTS_OF_A_LEVEL).then(|| same.into_iter().rev().collect())
}

fn joined(trace_id: &str, parts: &[Part]) -> Result<Part, TracesError> {
    let mut text = Vec::new();
    let mut nodes = Vec::new();
    for part in parts {
        if !text.is_empty() {
            text.push(b'\n');
        }
        text.extend_from_slice(&unpack_text(trace_id, part)?);
        nodes.extend(totals::unpack(&part.nodes));
    }
    let (content, raw_bytes) = pack_text(&text)?;
    Ok(Part {
        part: parts.last().map_or(0, |part| part.part),
        level: parts.iter().map(|part| part.level).max().unwrap_or(0) + 1,
        raw_bytes: i64::try_from(raw_bytes).unwrap_or(i64::MAX),
        nodes: totals::pack(&nodes),
        content,
    })
}

impl Traces {
    /// Joins parts of a trace as long as some are due.
    pub(super) async fn join_parts(
        &self,
        number: i64,
        trace_id: &str,
        complete: bool,
    ) -> Result<(), TracesError> {
        // Each round leaves fewer parts, so this ends; the bound is for a writer who adds as fast as this joins.
        const ROUNDS: usize = 16;
        for _ in 0..ROUNDS {
            let parts = self
                .store
                .read(move |tx| {
                    let Some(old) = due(&store::sizes_of(tx, number)?, complete) else {
                        return Ok(Vec::new());
                    };
                    let parts = store::parts_of(tx, number)?;
                    Ok::<_, TracesError>(
                        parts
                            .into_iter()
                            .filter(|part| old.contains(&part.part))
                            .collect(),
                    )
                })
                .await?;
            if parts.is_empty() {
                return Ok(());
            }
            let owned = trace_id.to_owned();
            let (old, new) = apart(move || {
                let old: Vec<i64> = parts.iter().map(|part| part.part).collect();
                joined(&owned, &parts).map(|new| (old, new))
            })
            .await??;
            let done: bool = self
                .store
                .write(move |tx| Ok::<_, TracesError>(store::join_parts(tx, number, &old, &new)?))
                .await?;
            if !done {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::span;

    fn part(number: i64, level: i64, spans: &[Span]) -> Part {
        let (content, raw_bytes) = pack(spans).unwrap();
        Part {
            part: number,
            level,
            raw_bytes: raw_bytes as i64,
            nodes: totals::pack(&[]),
            content,
        }
    }

    #[test]
    fn joined_parts_hold_what_the_parts_held() {
        let mut changed = span(2, Some(1));
        changed.name = "new".into();
        let parts = [
            part(0, 0, &[span(2, Some(1)), span(1, None)]),
            part(1, 0, &[changed.clone()]),
        ];
        let expected = vec![span(1, None), changed];
        assert_eq!(unpack("tr", &parts).unwrap(), expected);
        let joined = joined("tr", &parts).unwrap();
        assert_eq!((joined.part, joined.level), (1, 1));
        assert_eq!(unpack("tr", &[joined]).unwrap(), expected);
    }

    #[test]
    fn eight_of_a_level_are_due_and_all_of_a_complete_trace() {
        let sizes = |levels: &[i64]| -> Vec<(i64, i64)> { (0..).zip(levels.iter().copied()).collect() };
        assert_eq!(due(&sizes(&[0; 7]), true), None);
        assert_eq!(due(&sizes(&[0; 8]), false), Some((0..8).collect()));
        assert_eq!(
            due(&sizes(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), false),
            Some((1..9).collect())
        );
        assert_eq!(due(&sizes(&[1, 0, 0]), false), None);
        assert_eq!(
            due(&sizes(&[2, 1, 1, 1, 1, 0, 0, 0, 0]), true),
            Some((0..9).collect())
        );
        assert_eq!(due(&[], true), None);
    }

    #[test]
    fn damage_is_told() {
        let good = part(0, 0, &[span(1, None)]);
        for end in 0..good.content.len() {
            let cut = Part {
                content: good.content[..end].to_vec(),
                ..good.clone()
            };
            assert!(
                matches!(unpack("tr", &[cut]), Err(TracesError::Damaged { .. })),
                "{end}"
            );
        }
    }
}
