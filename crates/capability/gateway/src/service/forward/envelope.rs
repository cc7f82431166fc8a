//! What the gateway must know of a request that it passes on: read in place, in one pass, with nothing built of the
//! rest; and the few bytes that it changes.

use std::ops::Range;

use bytes::Bytes;
use corliss_upstream::Pieces;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Which of OpenAI's APIs is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Chat,
    Completions,
    Responses,
    Embeddings,
}

impl Api {
    pub(crate) const ALL: [Self; 4] = [Self::Chat, Self::Completions, Self::Responses, Self::Embeddings];

    /// Its path behind a service's address, which ends in a version as clients know it.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Responses => "/responses",
            Self::Embeddings => "/embeddings",
        }
    }
}

impl Api {
    /// The member that each answer has, with its quotes.
    pub(crate) const fn answer_member(self) -> &'static str {
        match self {
            Self::Chat | Self::Completions => "\"choices\"",
            Self::Responses => "\"output\"",
            Self::Embeddings => "\"data\"",
        }
    }
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    model: &'a RawValue,
    #[serde(borrow, default)]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    n: Option<&'a RawValue>,
    #[serde(borrow, default)]
    best_of: Option<&'a RawValue>,
}

/// A number that a request gives, as whoever answers may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Number(u64),
    /// Something is there of which it is not clear what number it is.
    Unclear,
}

impl Given {
    /// None where nothing is said. Services also take `1e3`, `1000.0` and `"1000"` for a thousand.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number in range"
    )]
    fn of(value: Option<&RawValue>) -> Option<Self> {
        const MAX: f64 = 1e15;
        let text = value?.get();
        if text == "null" {
            return None;
        }
        let number = text.trim_matches('"').trim().parse::<f64>();
        let whole = number
            .ok()
            .filter(|number| (0.0..=MAX).contains(number) && number.fract() == 0.0);
        Some(whole.map_or(Self::Unclear, |number| Self::Number(number as u64)))
    }
}

/// How many answers are asked for: so many to each prompt.
fn answers(members: &Members<'_>) -> Option<u64> {
    let many = |value| match Given::of(value) {
        None => Some(1),
        Some(Given::Number(count)) => Some(count.max(1)),
        Some(Given::Unclear) => None,
    };
    Some(
        many(members.n)?
            .max(many(members.best_of)?)
            .saturating_mul(prompts(members.prompt)),
    )
}

/// How many prompts there are: a list of numbers is one, in tokens.
fn prompts(prompt: Option<&RawValue>) -> u64 {
    let list = prompt.and_then(|prompt| serde_json::from_str::<Vec<&RawValue>>(prompt.get()).ok());
    let is_prompt = |one: &&RawValue| one.get().starts_with(['"', '[', '{']);
    let count = list.map_or(1, |list| list.into_iter().filter(is_prompt).count());
    count.max(1) as u64
}

/// A member that is null is there, and has a place.
fn even_null<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Whether a stream ends with its usage.
#[derive(Debug, Clone, PartialEq, Eq)]
enum UsageEvent {
    /// The client asks for it.
    Asked,
    /// It says nothing of it; a member may be put here.
    Unsaid(usize),
    /// It says something else of its stream, here.
    Options(Range<usize>),
}

/// A request to be passed on.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) api: Api,
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// Tokens of its answers, all together, if it bounds them in a way that is understood.
    pub(crate) answer_tokens: Option<u64>,
    /// How many answers it asks for.
    pub(crate) answers: u64,
    body: Bytes,
    model_at: Range<usize>,
    text_at: Range<usize>,
    usage: UsageEvent,
}

impl Envelope {
    /// Reads it; none if it is not a JSON object that names a model.
    pub(crate) fn read(api: Api, body: &Bytes) -> Option<Self> {
        let members: Members<'_> = serde_json::from_slice(body).ok()?;
        let whole = body.as_ptr() as usize;
        let at = |value: &RawValue| {
            let start = value.get().as_ptr() as usize - whole;
            start..start + value.get().len()
        };
        let text = members.messages.or(members.prompt).or(members.input);
        let limit = Given::of(members.max_completion_tokens)
            .or_else(|| Given::of(members.max_tokens))
            .or_else(|| Given::of(members.max_output_tokens));
        let answers = answers(&members);
        let model_at = at(members.model);
        let open = body.iter().position(|byte| *byte == b'{')? + 1;
        Some(Self {
            api,
            model: serde_json::from_str(members.model.get()).ok()?,
            stream: members.stream.is_some_and(|value| value.get() == "true"),
            answer_tokens: match limit {
                Some(Given::Number(limit)) => answers.map(|answers| answers.saturating_mul(limit)),
                _ => None,
            },
            answers: answers.unwrap_or(1),
            usage: match members.stream_options {
                None => UsageEvent::Unsaid(open),
                Some(options) if options.get() == "null" => UsageEvent::Options(at(options)),
                Some(options) if asks_for_usage(options) => UsageEvent::Asked,
                Some(options) => UsageEvent::Options(at(options)),
            },
            text_at: text.map_or(0..0, at),
            model_at,
            body: body.clone(),
        })
    }

    /// What the model is to read, as JSON.
    pub(crate) fn text(&self) -> &[u8] {
        &self.body[self.text_at.clone()]
    }

    /// Bytes of all of it.
    pub(crate) fn len(&self) -> u64 {
        self.body.len() as u64
    }

    /// Whether its stream has to be made to say how many tokens it had, and that be kept from the client.
    pub(crate) fn hides_usage(&self) -> bool {
        self.stream && matches!(self.api, Api::Chat | Api::Completions) && self.usage != UsageEvent::Asked
    }

    /// The same request to another endpoint.
    pub(crate) fn renamed(&self, model: &str) -> Bytes {
        let name = serde_json::Value::from(model).to_string();
        let (before, after) = (&self.body[..self.model_at.start], &self.body[self.model_at.end..]);
        Bytes::from([before, name.as_bytes(), after].concat())
    }

    /// The request for a service that calls the model so; the bytes of the client but for that and the usage.
    pub(crate) fn for_model(&self, model: &str) -> Pieces {
        let mut changes = vec![(
            self.model_at.clone(),
            Bytes::from(serde_json::Value::from(model).to_string()),
        )];
        if self.hides_usage() {
            const OPTIONS: &str = r#"{"include_usage":true}"#;
            match &self.usage {
                UsageEvent::Asked => {}
                UsageEvent::Unsaid(at) => {
                    let member = Bytes::from(format!(r#""stream_options":{OPTIONS},"#));
                    changes.push((*at..*at, member));
                }
                UsageEvent::Options(at) => {
                    changes.push((at.clone(), with_usage(&self.body[at.clone()], OPTIONS)));
                }
            }
        }
        changes.sort_by_key(|(at, _)| at.start);
        let (mut pieces, mut done) = (Vec::with_capacity(5), 0);
        for (at, text) in changes {
            pieces.push(self.body.slice(done..at.start));
            pieces.push(text);
            done = at.end;
        }
        pieces.push(self.body.slice(done..));
        pieces.into_iter().collect()
    }
}

fn asks_for_usage(options: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Options {
        #[serde(default)]
        include_usage: bool,
    }
    serde_json::from_str::<Options>(options.get()).is_ok_and(|options| options.include_usage)
}

/// The client's own options, and that the usage is wanted.
fn with_usage(options: &[u8], otherwise: &'static str) -> Bytes {
    let parsed: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(options).ok();
    let Some(mut options) = parsed else {
        return Bytes::from_static(otherwise.as_bytes());
    };
    options.insert("include_usage".to_owned(), true.into());
    Bytes::from(serde_json::Value::Object(options).to_string())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn read(api: Api, text: &str) -> Option<Envelope> {
        Envelope::read(api, &Bytes::copy_from_slice(text.as_bytes()))
    }

    async fn sent(text: &str) -> String {
        let pieces = read(Api::Chat, text).unwrap().for_model("a/\"b\"");
        let length = pieces.len();
        let bytes = pieces.collect().await.unwrap().to_bytes();
        assert_eq!(length, bytes.len() as u64);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn what_matters_is_read_in_place() {
        let text = r#" {"n":2, "messages":[{"role":"user","content":"hi"}],"max_tokens":7,"model":"a\u0062","stream":true}"#;
        let envelope = read(Api::Chat, text).unwrap();
        assert_eq!(
            (envelope.model.as_str(), envelope.stream, envelope.answer_tokens),
            ("ab", true, Some(14))
        );
        let bound = |more: &str| {
            let text = format!(r#"{{"model":"m","prompt":["a","b"],{more}}}"#);
            read(Api::Completions, &text).unwrap().answer_tokens
        };
        for (more, tokens) in [
            (r#""max_tokens":10"#, Some(20)),
            (r#""max_tokens":"10","n":3"#, Some(60)),
            (r#""max_tokens":1e1,"n":2,"best_of":4.0"#, Some(80)),
            (r#""max_tokens":10,"n":null"#, Some(20)),
            (r#""max_tokens":-1"#, None),
            (r#""max_tokens":true"#, None),
            (r#""max_tokens":10,"n":"many""#, None),
            (r#""n":2"#, None),
        ] {
            assert_eq!(bound(more), tokens, "{more}");
        }
        let tokens = read(
            Api::Completions,
            r#"{"model":"m","prompt":[1,2,3],"max_tokens":10}"#,
        );
        assert_eq!(tokens.unwrap().answer_tokens, Some(10));
        assert_eq!(envelope.text(), br#"[{"role":"user","content":"hi"}]"#);
        assert!(envelope.hides_usage());
        assert!(!read(Api::Responses, text).unwrap().hides_usage());
        let plain = read(Api::Embeddings, r#"{"model":"m","input":"x"}"#).unwrap();
        assert_eq!(
            (plain.text(), plain.stream, plain.answer_tokens),
            (b"\"x\"".as_slice(), false, None)
        );
        for not_ours in [
            "",
            "{",
            "[]",
            r#"{"input":1}"#,
            r#"{"model":7}"#,
            r#"{"model":"a","model":"b"}"#,
            r#"{"model":"a"} x"#,
        ] {
            assert!(read(Api::Chat, not_ours).is_none(), "{not_ours}");
        }
    }

    #[tokio::test]
    async fn the_name_is_changed_and_nothing_else() {
        assert_eq!(
            sent(r#"{"model" : "x", "messages": [ ], "other":1.50}"#).await,
            r#"{"model" : "a/\"b\"", "messages": [ ], "other":1.50}"#
        );
    }

    #[tokio::test]
    async fn a_stream_is_made_to_tell_its_usage() {
        assert_eq!(
            sent(r#"{"stream":true,"model":"x"}"#).await,
            r#"{"stream_options":{"include_usage":true},"stream":true,"model":"a/\"b\""}"#
        );
        assert_eq!(
            sent(r#"{"stream_options":{"x":1,"include_usage":false},"model":"x","stream":true}"#).await,
            r#"{"stream_options":{"x":1,"include_usage":true},"model":"a/\"b\"","stream":true}"#
        );
        assert_eq!(
            sent(r#"{"stream_options":null,"model":"x","stream":true}"#).await,
            r#"{"stream_options":{"include_usage":true},"model":"a/\"b\"","stream":true}"#
        );
        assert_eq!(
            sent(r#"{"stream_options":{"include_usage":true},"model":"x","stream":true}"#).await,
            r#"{"stream_options":{"include_usage":true},"model":"a/\"b\"","stream":true}"#
        );
    }
}
