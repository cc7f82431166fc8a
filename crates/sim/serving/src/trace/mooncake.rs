//! Mooncake's traces (FAST 2025), as JSON lines. The blocks of a prompt are told by number, without any text:
//! what two prompts share is known exactly.

use serde::Deserialize;

use super::{Collector, Line, Trace};
use corliss_sim_trace::SimError;

/// Tokens of a block, as the traces' authors hash them.
const BLOCK_TOKENS: u32 = 512;

/// One line; other keys are ignored.
#[derive(Deserialize)]
struct Row {
    timestamp: f64,
    input_length: i64,
    output_length: i64,
    #[serde(default)]
    hash_ids: Vec<u64>,
}

pub(super) fn read(text: &str) -> Result<Trace, SimError> {
    let mut collector = Collector {
        trace: Trace::new(BLOCK_TOKENS),
        arrival: "timestamp",
        prompt: "input_length",
        output: "output_length",
    };
    let mut first_s = None;
    let mut last_line = 0;
    for (number, text) in (1_u64..).zip(text.trim_start_matches('\u{feff}').lines()) {
        last_line = number;
        if text.trim().is_empty() {
            continue;
        }
        let row: Row = serde_json::from_str(text).map_err(|error| not_a_row(number, &error))?;
        if row.timestamp < 0.0 {
            return Err(SimError::value(
                number,
                "timestamp",
                format!("timestamp is {}, which is before the start", row.timestamp),
                "give milliseconds after the start",
            ));
        }
        let blocks = i64::try_from(row.hash_ids.len()).unwrap_or(i64::MAX);
        let most = row.input_length.max(0) / i64::from(BLOCK_TOKENS) + 1;
        if blocks > most {
            return Err(SimError::value(
                number,
                "hash_ids",
                format!(
                    "hash_ids has {blocks} blocks, but {} tokens fill at most {most}",
                    row.input_length
                ),
                format!("give one number for each {BLOCK_TOKENS} tokens of the prompt"),
            ));
        }
        let arrival_s = row.timestamp / 1000.0;
        let line = Line {
            number,
            arrival_s,
            prompt: i128::from(row.input_length),
            output: i128::from(row.output_length),
            blocks: &row.hash_ids,
        };
        collector.add(&line, *first_s.get_or_insert(arrival_s))?;
    }
    collector.finish(last_line)
}

fn not_a_row(line: u64, error: &serde_json::Error) -> SimError {
    let text = error.to_string();
    let words = text.rfind(" at line ").map_or(text.as_str(), |at| &text[..at]);
    SimError::line(
        line,
        format!("{words}, at column {}", error.column()),
        r#"a line is {"timestamp": 0, "input_length": 600, "output_length": 50, "hash_ids": [1, 2]}"#,
    )
}
