//! A stream of events on its way through: looked at for its end and its usage, and passed on as the bytes that it came
//! in. Only whole events leave, so that one that breaks off is never half a word.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use corliss_engine::protocol::FinishReason;
use memchr::memmem;
use serde::Deserialize;

use super::envelope::Api;
use crate::service::timing::PromptTokens;

/// One event may be as large.
const EVENT_MAX_BYTES: usize = 8 << 20;

/// How many tokens something had, in any of the API's spellings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) prompt: PromptTokens,
    pub(crate) completion: u32,
}

#[derive(Deserialize, Default)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default, alias = "input_tokens")]
    prompt_tokens: u32,
    #[serde(default, alias = "output_tokens")]
    completion_tokens: u32,
    #[serde(default, alias = "input_tokens_details")]
    prompt_tokens_details: Option<Details>,
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Self {
        let cached = counts
            .prompt_tokens_details
            .and_then(|details| details.cached_tokens);
        Self {
            prompt: PromptTokens {
                all: counts.prompt_tokens,
                cached: cached.unwrap_or(0),
            },
            completion: counts.completion_tokens,
        }
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

/// What is read of an answer or an event.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(default)]
    usage: Option<Counts>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    response: Option<Box<Told<'a>>>,
}

/// What an answer told, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) usage: Option<Usage>,
    pub(crate) finish: Option<FinishReason>,
    /// Events that were passed on: about the tokens of an answer that tells no usage.
    pub(crate) pieces: u32,
}

impl Tally {
    /// Of an answer that came whole.
    pub(crate) fn of_answer(body: &[u8]) -> Self {
        Self::at_a_glance(body).unwrap_or_else(|| {
            let mut tally = Self::default();
            tally.hear(body);
            tally
        })
    }

    /// The same of an answer that says each of what is looked for once at most: found by name, and the rest is not read.
    fn at_a_glance(body: &[u8]) -> Option<Self> {
        let mut tally = Self::default();
        if let Some(value) = only(body, b"\"usage\"")? {
            tally.usage = read::<Option<Counts>>(value)?.map(Usage::from);
        }
        if let Some(value) = only(body, b"\"finish_reason\"")? {
            tally.finish = read::<Option<Cow<'_, str>>>(value)?.as_deref().map(finish);
        }
        Some(tally)
    }

    /// Takes over what an object says; answers whether it is about the usage alone.
    fn hear(&mut self, json: &[u8]) -> bool {
        let Ok(mut told) = serde_json::from_slice::<Told<'_>>(json) else {
            return false;
        };
        if let Some(response) = told.response.take() {
            told.usage = told.usage.or(response.usage);
        }
        let choices = told.choices.unwrap_or_default();
        for reason in choices
            .iter()
            .filter_map(|choice| choice.finish_reason.as_deref())
        {
            self.finish = Some(finish(reason));
        }
        let Some(counts) = told.usage else {
            return false;
        };
        self.usage = Some(counts.into());
        choices.is_empty()
    }
}

fn finish(reason: &str) -> FinishReason {
    match reason {
        "length" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

/// What follows the only member of this name, quotes included; none inside if there is no such name, and none at all if there
/// are more, or it is a value. In a text a quote is never without a backslash before it, nor is the one at the name's end.
fn only<'a>(json: &'a [u8], name: &[u8]) -> Option<Option<&'a [u8]>> {
    let mut found = memmem::find_iter(json, name);
    let Some(at) = found.next() else {
        return Some(None);
    };
    if found.next().is_some() {
        return None;
    }
    let value = json[at + name.len()..].trim_ascii_start().strip_prefix(b":")?;
    Some(Some(value))
}

/// The value that a text begins with.
fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    T::deserialize(&mut serde_json::Deserializer::from_slice(json)).ok()
}

/// A stream as far as it was read.
pub(crate) struct Events {
    api: Api,
    /// Whether the event that tells the usage was asked for by us, and is kept.
    hides_usage: bool,
    /// The beginning of an event whose end has not come.
    open: BytesMut,
    pub(crate) tally: Tally,
    /// Whether it has come to its end.
    pub(crate) ended: bool,
    /// Whether it said that something went wrong: nothing follows that.
    pub(crate) gave_up: bool,
}

/// What came is no stream of events any more, in words.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) &'static str);

impl Events {
    pub(crate) fn new(api: Api, hides_usage: bool) -> Self {
        Self {
            api,
            hides_usage,
            open: BytesMut::new(),
            tally: Tally::default(),
            ended: false,
            gave_up: false,
        }
    }

    /// Takes what came and gives what may be passed on, perhaps nothing.
    ///
    /// # Errors
    /// If an event is too long, or none of these APIs'.
    pub(crate) fn pass(&mut self, chunk: Bytes) -> Result<Bytes, Broken> {
        let whole = if self.open.is_empty() && ends_event(&chunk) {
            chunk
        } else {
            self.open.extend_from_slice(&chunk);
            match last_end(&self.open) {
                Some(end) => self.open.split_to(end).freeze(),
                None => Bytes::new(),
            }
        };
        if self.open.len() > EVENT_MAX_BYTES {
            return Err(Broken("an event is too long"));
        }
        self.look(whole)
    }

    /// Looks at whole events; takes out what is kept.
    fn look(&mut self, mut events: Bytes) -> Result<Bytes, Broken> {
        let (mut kept, mut start) = (Vec::new(), 0);
        while let Some(length) = first_end(&events[start..]) {
            let event = start..start + length;
            start = event.end;
            if self.look_at(&events[event.clone()])? {
                kept.push(event);
            }
            if self.gave_up {
                events.truncate(start);
            }
        }
        if kept.is_empty() {
            return Ok(events);
        }
        let (mut rest, mut done) = (BytesMut::with_capacity(events.len()), 0);
        for event in kept {
            rest.extend_from_slice(&events[done..event.start]);
            done = event.end;
        }
        rest.extend_from_slice(&events[done..]);
        Ok(rest.freeze())
    }

    /// Whether it is kept.
    fn look_at(&mut self, event: &[u8]) -> Result<bool, Broken> {
        let Some(data) = data(event) else {
            return Ok(false);
        };
        if data == b"[DONE]" {
            self.ended = true;
            return Ok(false);
        }
        // A sign of life, which some servers send.
        if data.is_empty() {
            return Ok(false);
        }
        if !(data.starts_with(b"{") && data.ends_with(b"}")) {
            return Err(Broken("an event is no JSON object"));
        }
        // Responses have an event of their own for it, and a member of that name in each.
        if self.api != Api::Responses && has_value(data, b"\"error\":") && !has_value(data, b"\"choices\":") {
            self.gave_up = true;
            return Ok(false);
        }
        self.tally.pieces = self.tally.pieces.saturating_add(1);
        let telling = has_value(data, b"\"usage\":") || has_value(data, b"\"finish_reason\":");
        let about_usage = telling && self.tally.hear(data);
        if self.api == Api::Responses {
            let last = ["response.completed", "response.incomplete", "response.failed"];
            let is = |name: &&str| memmem::find(event, name.as_bytes()).is_some();
            self.ended |= telling && last.iter().any(is);
        }
        Ok(about_usage && self.hides_usage)
    }

    /// Whether the answer is complete although the stream did not say so by its last word.
    pub(crate) fn is_complete(&self) -> bool {
        self.ended || (self.tally.finish.is_some() && self.open.is_empty())
    }
}

/// Whether a member has a value that is not null.
fn has_value(json: &[u8], member: &[u8]) -> bool {
    memmem::find_iter(json, member).any(|at| {
        let value = json[at + member.len()..].trim_ascii_start();
        !value.starts_with(b"null")
    })
}

fn ends_event(chunk: &[u8]) -> bool {
    chunk.ends_with(b"\n\n") || chunk.ends_with(b"\r\n\r\n")
}

fn first_end(bytes: &[u8]) -> Option<usize> {
    let ends = memchr::memchr_iter(b'\n', bytes);
    ends.map(|at| at + 1).find(|end| ends_event(&bytes[..*end]))
}

fn last_end(bytes: &[u8]) -> Option<usize> {
    let ends = memchr::memrchr_iter(b'\n', bytes);
    ends.map(|at| at + 1).find(|end| ends_event(&bytes[..*end]))
}

/// The data of an event that has one line of it, as these APIs have.
fn data(event: &[u8]) -> Option<&[u8]> {
    let mut lines = event.split(|byte| *byte == b'\n');
    lines.find_map(|line| Some(line.strip_prefix(b"data:")?.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str =
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}],\"usage\":null}\n\n";
    const LAST: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
    const COUNTS: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":3}}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    fn passed(events: &mut Events, chunks: &[&str]) -> String {
        let mut text = String::new();
        for chunk in chunks {
            let bytes = events.pass(Bytes::copy_from_slice(chunk.as_bytes())).unwrap();
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        text
    }

    fn usage() -> Usage {
        let prompt = PromptTokens { all: 5, cached: 3 };
        Usage {
            prompt,
            completion: 2,
        }
    }

    #[test]
    fn events_pass_as_they_are_and_are_understood() {
        let mut events = Events::new(Api::Chat, false);
        let text = passed(&mut events, &[FIRST, LAST]);
        assert!(!events.ended && events.is_complete());
        let text = text + &passed(&mut events, &[COUNTS, DONE]);
        assert_eq!(text, [FIRST, LAST, COUNTS, DONE].concat());
        assert_eq!((events.tally.usage, events.tally.pieces), (Some(usage()), 3));
        assert_eq!(events.tally.finish, Some(FinishReason::Length));
        assert!(events.ended);
    }

    #[test]
    fn however_they_are_cut_only_whole_ones_leave() {
        let all = [FIRST, LAST, COUNTS, DONE].concat();
        for size in 1..all.len() {
            let mut events = Events::new(Api::Chat, true);
            let mut text = String::new();
            for chunk in all.as_bytes().chunks(size) {
                let bytes = events.pass(Bytes::copy_from_slice(chunk)).unwrap();
                assert!(bytes.is_empty() || bytes.ends_with(b"\n\n"));
                text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
            assert_eq!(text, [FIRST, LAST, DONE].concat(), "{size}");
            assert_eq!(events.tally.usage, Some(usage()));
            assert!(events.ended);
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_not_complete() {
        let mut events = Events::new(Api::Chat, false);
        assert_eq!(passed(&mut events, &[FIRST, &LAST[..20]]), FIRST);
        assert!(!events.is_complete());
    }

    #[test]
    fn other_line_ends_and_other_apis_are_read_too() {
        let mut events = Events::new(Api::Completions, true);
        let crlf = [": hi\n\n", FIRST, COUNTS, DONE].concat().replace('\n', "\r\n");
        let kept = [": hi\n\n", FIRST, DONE].concat().replace('\n', "\r\n");
        assert_eq!(passed(&mut events, &[&crlf]), kept);
        assert!(events.ended);

        let mut events = Events::new(Api::Responses, false);
        let completed = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":5,\"input_tokens_details\":{\"cached_tokens\":3},\"output_tokens\":2}}}\n\n";
        assert_eq!(passed(&mut events, &[completed]), completed);
        assert!(events.ended);
        assert_eq!(events.tally.usage, Some(usage()));
    }

    #[test]
    fn whole_answers_tell_the_same() {
        let body = br#"{"id":"x","choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":3}}}"#;
        let tally = Tally::of_answer(body);
        assert_eq!(
            (tally.usage, tally.finish),
            (Some(usage()), Some(FinishReason::Stop))
        );
        assert_eq!(Tally::of_answer(b"<html>"), Tally::default());
        assert_eq!(Tally::at_a_glance(body), Some(tally));
        let none =
            br#"{"choices":[{"text":"\"usage\":{\"prompt_tokens\":9}","finish_reason":null}],"usage": null}"#;
        assert_eq!(Tally::at_a_glance(none), Some(Tally::default()));
    }

    #[test]
    fn an_answer_that_says_more_than_once_what_is_looked_for_is_read_whole() {
        for body in [
            r#"{"choices":[{"finish_reason":"stop"},{"finish_reason":"length"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":3}}}"#,
            r#"{"object":"usage","choices":[{"finish_reason":"length"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":3}}}"#,
        ] {
            assert_eq!(Tally::at_a_glance(body.as_bytes()), None, "{body}");
            let tally = Tally::of_answer(body.as_bytes());
            assert_eq!(
                (tally.usage, tally.finish),
                (Some(usage()), Some(FinishReason::Length))
            );
        }
    }
}
