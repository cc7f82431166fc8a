//! What the readers accept, and what they say of files that are wrong.
#![allow(clippy::unwrap_used)] // A helper of a test may fail it.

use corliss_diagnostics::Diagnose;
use corliss_sim_serving::trace::{Trace, TraceKind};
use proptest::prelude::*;

fn azure(text: &str) -> Result<Trace, corliss_sim_serving::SimError> {
    TraceKind::AzureLlm.read(text)
}

fn mooncake(text: &str) -> Result<Trace, corliss_sim_serving::SimError> {
    TraceKind::Mooncake.read(text)
}

/// Arrival in milliseconds, prompt and answer of each request.
fn told(trace: &Trace) -> Vec<(u64, u32, u32)> {
    let requests = trace.requests().iter();
    requests
        .map(|request| {
            (
                request.arrival_ns / 1_000_000,
                request.prompt_tokens,
                request.output_tokens,
            )
        })
        .collect()
}

#[test]
fn both_forms_of_azures_traces_are_read() {
    let relative =
        azure("arrived_at,num_prefill_tokens,num_decode_tokens\n0.5,374,44\n4.814579,396,109\n").unwrap();
    assert_eq!(told(&relative), [(0, 374, 44), (4_314, 396, 109)]);
    let original = "\u{feff}TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 23:59:59.5000000,374,44\r\n\
                    2023-11-17 00:00:00.2500000,396,109\r\n\r\n";
    assert_eq!(told(&azure(original).unwrap()), [(0, 374, 44), (750, 396, 109)]);
    let other_order = "id,num_decode_tokens,arrived_at,num_prefill_tokens\nx,44.0,0,374\n";
    assert_eq!(told(&azure(other_order).unwrap()), [(0, 374, 44)]);
}

#[test]
fn mooncakes_blocks_are_those_that_are_full() {
    let text = r#"{"timestamp": 1000, "input_length": 1100, "output_length": 5, "hash_ids": [70, 71, 72]}
{"timestamp": 1500, "input_length": 1024, "output_length": 7, "hash_ids": [70, 99], "model": "k"}

{"timestamp": 1500, "input_length": 3, "output_length": 1}"#;
    let trace = mooncake(text).unwrap();
    assert_eq!(told(&trace), [(0, 1100, 5), (500, 1024, 7), (500, 3, 1)]);
    let blocks: Vec<&[u64]> = trace
        .requests()
        .iter()
        .map(|request| trace.full_blocks(request))
        .collect();
    assert_eq!(blocks, [&[0, 1][..], &[0, 3], &[]]);
    assert_eq!((trace.block_tokens(), trace.distinct_blocks()), (512, 4));
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_a_fix() {
    let csv = |rows: &str| format!("arrived_at,num_prefill_tokens,num_decode_tokens\n{rows}");
    let cases = [
        (azure(""), 1, None, "names the columns, is empty"),
        (azure(&csv("")), 1, None, "the file has no request"),
        (azure(&csv("\n \n")), 3, None, "the file has no request"),
        (
            azure("arrived_at,num_decode_tokens\n0,1\n"),
            1,
            Some("num_prefill_tokens"),
            "there is no column num_prefill_tokens",
        ),
        (
            azure("TIMESTAMP,ContextTokens\n"),
            1,
            Some("GeneratedTokens"),
            "there is no column GeneratedTokens",
        ),
        (
            azure(&csv("0,1,1\n2,5\n")),
            3,
            Some("num_decode_tokens"),
            "the line ends before it",
        ),
        (
            azure(&csv("1,1,1\n0.5,1,1\n")),
            3,
            Some("arrived_at"),
            "earlier than on the line before",
        ),
        (
            azure(&csv("0,1,1\n2,1,1\n1,1,1\n")),
            4,
            Some("arrived_at"),
            "earlier than on the line before",
        ),
        (
            azure(&csv("noon,1,1\n")),
            2,
            Some("arrived_at"),
            "arrived_at is 'noon', which is no time",
        ),
        (azure(&csv("-1,1,1\n")), 2, Some("arrived_at"), "which is no time"),
        (
            azure(&csv("NaN,1,1\n")),
            2,
            Some("arrived_at"),
            "which is no time",
        ),
        (
            azure(&csv("0,1,1\n1e300,1,1\n")),
            3,
            Some("arrived_at"),
            "more than a year",
        ),
        (
            azure(&csv("0,-3,1\n")),
            2,
            Some("num_prefill_tokens"),
            "num_prefill_tokens is -3",
        ),
        (
            azure(&csv("0,1,0\n")),
            2,
            Some("num_decode_tokens"),
            "num_decode_tokens is 0",
        ),
        (
            azure(&csv("0,99999999999,1\n")),
            2,
            Some("num_prefill_tokens"),
            "which no request has",
        ),
        (
            azure(&csv("0,many,1\n")),
            2,
            Some("num_prefill_tokens"),
            "'many', which is no whole number",
        ),
        (
            azure(&csv("0,1.5,1\n")),
            2,
            Some("num_prefill_tokens"),
            "'1.5', which is no whole number",
        ),
        (mooncake(""), 1, None, "the file has no request"),
        (mooncake("{}"), 1, None, "missing field `timestamp`, at column 2"),
        (mooncake("arrived_at,b\n"), 1, None, "expected value, at column 1"),
        (
            mooncake(r#"{"timestamp": 0, "input_length": "x", "output_length": 1}"#),
            1,
            None,
            "invalid type: string",
        ),
        (
            mooncake(r#"{"timestamp": -1, "input_length": 1, "output_length": 1}"#),
            1,
            Some("timestamp"),
            "before the start",
        ),
        (
            mooncake(r#"{"timestamp": 0, "input_length": -1, "output_length": 1}"#),
            1,
            Some("input_length"),
            "input_length is -1",
        ),
        (
            mooncake(r#"{"timestamp": 0, "input_length": 511, "output_length": 1, "hash_ids": [1, 2]}"#),
            1,
            Some("hash_ids"),
            "hash_ids has 2 blocks, but 511 tokens fill at most 1",
        ),
    ];
    for (read, line, field, said) in cases {
        let error = read.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("line {line}: ")), "{text}");
        assert!(text.contains(said), "{text} does not say {said}");
        assert_eq!(error.field().as_deref(), field, "{text}");
        assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{text}");
    }
}

proptest! {
    /// Whatever a file holds, it is read or refused.
    #[test]
    fn no_text_makes_a_reader_fall(text in "[ -~\n]{0,300}", rows in prop::collection::vec("[-0-9.eE,: x]{0,30}", 0..8)) {
        for kind in TraceKind::ALL {
            let _ = kind.read(&text);
        }
        for header in ["arrived_at,num_prefill_tokens,num_decode_tokens", "TIMESTAMP,ContextTokens,GeneratedTokens"] {
            let _ = azure(&format!("{header}\n{}", rows.join("\n")));
        }
    }
}
