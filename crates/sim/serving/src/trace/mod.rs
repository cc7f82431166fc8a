//! Recorded requests, whatever file they came from. Readers take text and touch no file.

mod azure;
mod mooncake;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use corliss_sim_trace::SimError;

/// Most requests of a trace.
pub const MAX_REQUESTS: usize = 5_000_000;
/// Most tokens of one prompt or answer: ten times the longest context that any model is sold with.
pub const MAX_TOKENS: u32 = 10_000_000;
/// Latest arrival after the first one, in seconds: a year.
const MAX_SECONDS: f64 = 31_536_000.0;

/// The form of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceKind {
    /// CSV of Azure's LLM inference traces: seconds and tokens, either with Azure's own columns
    /// (`TIMESTAMP,ContextTokens,GeneratedTokens`) or with relative times
    /// (`arrived_at,num_prefill_tokens,num_decode_tokens`).
    AzureLlm,
    /// JSON lines of Mooncake's traces: `timestamp` in milliseconds, `input_length`, `output_length`, and
    /// `hash_ids`, one for each 512 tokens of the prompt.
    Mooncake,
}

impl TraceKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::AzureLlm, Self::Mooncake];

    /// Its name before the colon on the command line, and its folder among the shared traces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AzureLlm => "azure-llm",
            Self::Mooncake => "mooncake",
        }
    }

    /// Reads the text of a file of this kind.
    ///
    /// # Errors
    /// If the file has no request, or a line is not what it should be; the error names the line and the fix.
    pub fn read(self, text: &str) -> Result<Trace, SimError> {
        match self {
            Self::AzureLlm => azure::read(text),
            Self::Mooncake => mooncake::read(text),
        }
    }
}

impl fmt::Display for TraceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no kind of trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind;

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not one of {}", TraceKind::ALL.map(TraceKind::name).join(", "))
    }
}

impl std::error::Error for UnknownKind {}

impl FromStr for TraceKind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let named = Self::ALL.into_iter().find(|kind| kind.name() == text);
        named.ok_or(UnknownKind)
    }
}

/// One recorded request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRequest {
    /// Nanoseconds after the first request.
    pub arrival_ns: u64,
    /// Tokens of the prompt, at least 1.
    pub prompt_tokens: u32,
    /// Tokens of the answer, at least 1.
    pub output_tokens: u32,
    /// Where its blocks are among those of all requests.
    blocks: Range<usize>,
}

/// Recorded requests in order of arrival.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    requests: Vec<TraceRequest>,
    blocks: Vec<u64>,
    /// The file's number of a block -> ours, which are dense.
    numbers: BTreeMap<u64, u64>,
    block_tokens: u32,
}

impl Trace {
    /// A trace without requests, whose blocks have so many tokens; 0 where prompts share none.
    #[must_use]
    pub fn new(block_tokens: u32) -> Self {
        Self {
            block_tokens,
            ..Self::default()
        }
    }

    /// Adds a request that arrives no earlier than the last one. A block's number stands for its tokens and
    /// all before them; any numbers will do.
    pub fn push(&mut self, arrival_ns: u64, prompt_tokens: u32, output_tokens: u32, blocks: &[u64]) {
        let from = self.blocks.len();
        for block in blocks {
            let next = self.numbers.len() as u64;
            self.blocks.push(*self.numbers.entry(*block).or_insert(next));
        }
        let last = self.requests.last().map_or(0, |last| last.arrival_ns);
        self.requests.push(TraceRequest {
            arrival_ns: arrival_ns.max(last),
            prompt_tokens: prompt_tokens.max(1),
            output_tokens: output_tokens.max(1),
            blocks: from..self.blocks.len(),
        });
    }

    /// The requests, by arrival.
    #[must_use]
    pub fn requests(&self) -> &[TraceRequest] {
        &self.requests
    }

    /// Tokens of a block; 0 where prompts share none.
    #[must_use]
    pub fn block_tokens(&self) -> u32 {
        self.block_tokens
    }

    /// How many different blocks there are.
    #[must_use]
    pub fn distinct_blocks(&self) -> usize {
        self.numbers.len()
    }

    /// The blocks of a request that are full of its prompt's tokens, numbered from 0 without gaps. The rest of
    /// the prompt is nobody else's.
    #[must_use]
    pub fn full_blocks(&self, request: &TraceRequest) -> &[u64] {
        let full = request.prompt_tokens.checked_div(self.block_tokens).unwrap_or(0);
        let all = self.blocks.get(request.blocks.clone()).unwrap_or_default();
        &all[..all.len().min(full as usize)]
    }

    /// Only the first `count` requests.
    pub fn truncate(&mut self, count: usize) {
        self.requests.truncate(count);
    }
}

/// Collects the lines of a file; holds what each of them has to satisfy.
struct Collector {
    trace: Trace,
    arrival: &'static str,
    prompt: &'static str,
    output: &'static str,
}

/// A line as a reader understood it.
struct Line<'a> {
    number: u64,
    arrival_s: f64,
    prompt: i128,
    output: i128,
    blocks: &'a [u64],
}

impl Collector {
    fn add(&mut self, line: &Line<'_>, first_s: f64) -> Result<(), SimError> {
        let after_s = line.arrival_s - first_s;
        if !after_s.is_finite() || after_s > MAX_SECONDS {
            return Err(SimError::value(
                line.number,
                self.arrival,
                format!("{} is more than a year after the first request", self.arrival),
                "give times in the unit of this kind of trace, relative to one start",
            ));
        }
        // A difference that is negative is a time that goes backwards, too.
        let arrival_ns = nanoseconds(after_s);
        let last = self.trace.requests.last().map_or(0, |last| last.arrival_ns);
        if after_s < 0.0 || arrival_ns < last {
            return Err(SimError::value(
                line.number,
                self.arrival,
                format!("{} is earlier than on the line before", self.arrival),
                format!("sort the file by {}", self.arrival),
            ));
        }
        let prompt_tokens = tokens(line.number, self.prompt, line.prompt)?;
        let output_tokens = tokens(line.number, self.output, line.output)?;
        if self.trace.requests.len() >= MAX_REQUESTS {
            return Err(SimError::line(
                line.number,
                format!("the trace has more than {MAX_REQUESTS} requests"),
                "simulate a part of it",
            ));
        }
        self.trace
            .push(arrival_ns, prompt_tokens, output_tokens, line.blocks);
        Ok(())
    }

    fn finish(self, lines: u64) -> Result<Trace, SimError> {
        if self.trace.requests.is_empty() {
            return Err(SimError::line(
                lines.max(1),
                "the file has no request",
                "name a file with at least one request",
            ));
        }
        Ok(self.trace)
    }
}

fn tokens(line: u64, field: &'static str, count: i128) -> Result<u32, SimError> {
    match u32::try_from(count) {
        Ok(count) if (1..=MAX_TOKENS).contains(&count) => Ok(count),
        _ => Err(SimError::value(
            line,
            field,
            format!("{field} is {count}, which no request has"),
            format!("give 1 to {MAX_TOKENS} tokens, or remove the line"),
        )),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the caller has checked the range"
)]
fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}
