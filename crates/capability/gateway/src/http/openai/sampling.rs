//! The parameters that both kinds of completion share: how to sample, how much, how often, how to send it.

use corliss_engine::protocol::GenerateRequest;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::parameters::{Parameters, invalid, only};
use crate::error::GatewayError;
use crate::service::prompt;

const SEED: &str = "must be a whole number from -9223372036854775808 to 9223372036854775807, such as 42; the same one samples alike";
const PRIORITY: &str = "must be a whole number from -2147483648 to 2147483647, such as -1; less is sooner, and 0 is what \
                        requests have without one";
const DEADLINE: &str = "must be a whole number of milliseconds from 0, such as 2000";

/// Answers to one prompt.
const N_MAX: u64 = 16;
/// Answers of one request. Each holds a place in an engine's queue, which is everybody's.
const ANSWERS_MAX: usize = 128;

/// A request as it was understood.
#[derive(Debug)]
pub(super) struct Asked {
    /// Endpoint.
    pub(super) model: String,
    /// What to generate: one for each choice, in the order of their indices.
    pub(super) requests: Vec<GenerateRequest>,
    /// Choices that share a prompt, one after another.
    pub(super) of_one_prompt: usize,
    /// How to send it.
    pub(super) delivery: Delivery,
    /// Which parameter said what the answers must be.
    pub(super) format: Option<String>,
}

impl Asked {
    /// Tokens of its longest prompt, about.
    pub(super) fn prompt_tokens(&self) -> u64 {
        self.requests.iter().map(prompt::tokens).max().unwrap_or_default()
    }
}

/// One stop text, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

/// How the answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivery {
    /// In events.
    pub(super) stream: bool,
    /// Which events tell the number of tokens.
    pub(super) usage: Usage,
}

/// Which events of a stream tell the number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    Never,
    /// One of its own, the last.
    AtTheEnd,
    /// That one, and each before it up to there.
    Always,
}

/// Takes them; prompt, limit and log-probabilities are the caller's to fill in.
pub(super) fn take(parameters: &mut Parameters) -> Result<GenerateRequest, GatewayError> {
    let stop = match parameters
        .optional::<Stop>("stop")
        .map_err(|_| invalid("stop", "must be a string or an array of strings"))?
    {
        None => Vec::new(),
        Some(Stop::One(text)) => vec![text],
        Some(Stop::Many(texts)) => texts,
    };
    let temperature = parameters.optional::<f32>("temperature")?;
    if temperature.is_some_and(|value| !(0.0..=2.0).contains(&value)) {
        return Err(invalid("temperature", "must lie between 0 and 2"));
    }
    let top_p = parameters.optional::<f32>("top_p")?;
    if top_p.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
        return Err(invalid("top_p", "must lie between 0 and 1"));
    }
    // Seeds are signed there and unsigned here; only that equal ones stay equal matters.
    let seed = parameters
        .optional_as::<i64>("seed", SEED)?
        .map(i64::cast_unsigned);
    Ok(GenerateRequest {
        temperature,
        top_p,
        top_k: top_k(parameters)?,
        min_p: number(parameters, "min_p")?,
        frequency_penalty: number(parameters, "frequency_penalty")?,
        presence_penalty: number(parameters, "presence_penalty")?,
        repetition_penalty: number(parameters, "repetition_penalty")?,
        logit_bias: logit_bias(parameters)?,
        priority: parameters.optional_as("priority", PRIORITY)?.unwrap_or(0),
        deadline_ms: parameters.optional_as("deadline_ms", DEADLINE)?,
        seed,
        stop,
        ..GenerateRequest::default()
    })
}

/// A number whose range is for the model to check, which is not told of one that it could not be sent.
fn number(parameters: &mut Parameters, name: &str) -> Result<Option<f32>, GatewayError> {
    let number = parameters.optional::<f32>(name)?;
    if number.is_some_and(|number| !number.is_finite()) {
        return Err(invalid(name, "is larger than any number that it may be"));
    }
    Ok(number)
}

/// As some clients say it, -1 is all of them.
fn top_k(parameters: &mut Parameters) -> Result<Option<u32>, GatewayError> {
    match parameters.optional::<i64>("top_k")? {
        None | Some(-1) => Ok(None),
        Some(tokens) => u32::try_from(tokens)
            .map(Some)
            .map_err(|_| invalid("top_k", "must be a whole number from 0, or -1 for all tokens")),
    }
}

/// Token ids are texts there, as members of an object must be. What they may be is for the model to say.
fn logit_bias(parameters: &mut Parameters) -> Result<Vec<(i32, f32)>, GatewayError> {
    const NAME: &str = "logit_bias";
    let given = parameters
        .optional::<Map<String, Value>>(NAME)
        .map_err(|_| invalid(NAME, "must be an object of token ids and numbers"))?;
    let read = |(token, bias): (String, Value)| {
        let shown: String = token.chars().take(40).collect();
        let token = token
            .parse::<i32>()
            .map_err(|_| invalid(NAME, &format!("'{shown}' is not a token's id")))?;
        match serde_json::from_value::<f32>(bias) {
            Ok(bias) if bias.is_finite() => Ok((token, bias)),
            _ => Err(invalid(
                NAME,
                &format!("the bias of token {shown} must be a number"),
            )),
        }
    };
    given.unwrap_or_default().into_iter().map(read).collect()
}

/// The most tokens to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) tokens: Option<u32>,
    /// Which of its two names it came under.
    pub(super) name: &'static str,
}

/// Takes the most tokens to generate, which has two names.
pub(super) fn limit(parameters: &mut Parameters) -> Result<Limit, GatewayError> {
    let older: Option<u32> = parameters.optional("max_tokens")?;
    let newer: Option<u32> = parameters.optional("max_completion_tokens")?;
    match (older, newer) {
        (Some(older), Some(newer)) if older != newer => Err(invalid(
            "max_tokens",
            &format!("is {older}, but max_completion_tokens is {newer}; give one of them"),
        )),
        (Some(_), _) => Ok(Limit {
            tokens: older,
            name: "max_tokens",
        }),
        (None, _) => Ok(Limit {
            tokens: newer,
            name: "max_completion_tokens",
        }),
    }
}

/// Takes how many answers each prompt gets.
pub(super) fn answers(parameters: &mut Parameters) -> Result<usize, GatewayError> {
    let wrong = || invalid("n", &format!("must be a whole number between 1 and {N_MAX}"));
    let n = parameters.optional::<u64>("n").map_err(|_| wrong())?.unwrap_or(1);
    if !(1..=N_MAX).contains(&n) {
        return Err(wrong());
    }
    usize::try_from(n).map_err(|_| wrong())
}

/// A request for each choice: `n` for each prompt, one prompt after another. A seed gives each answer to a
/// prompt a stream of its own, the first of which is that of a lone answer.
pub(super) fn repeated(
    prompts: Vec<GenerateRequest>,
    n: usize,
) -> Result<Vec<GenerateRequest>, GatewayError> {
    // Odd, so that no two of them meet, and unlike the sampler's own step.
    const APART: u64 = 0xd134_2543_de82_ef95;
    if prompts.len() * n > ANSWERS_MAX {
        return Err(invalid(
            "n",
            &format!(
                "asks for {} answers to {} prompts; one request has at most {ANSWERS_MAX}",
                prompts.len() * n,
                prompts.len()
            ),
        ));
    }
    let mut requests = Vec::with_capacity(prompts.len() * n);
    for prompt in prompts {
        for answer in 0..n as u64 {
            requests.push(GenerateRequest {
                seed: prompt
                    .seed
                    .map(|seed| seed.wrapping_add(answer.wrapping_mul(APART))),
                ..prompt.clone()
            });
        }
    }
    Ok(requests)
}

/// Takes how the answer is sent.
pub(super) fn delivery(parameters: &mut Parameters) -> Result<Delivery, GatewayError> {
    const OPTIONS: &str = "stream_options";
    let stream = parameters.optional::<bool>("stream")?.unwrap_or(false);
    let options: Option<Map<String, Value>> = parameters.optional(OPTIONS)?;
    if options.is_some() && !stream {
        return Err(invalid(OPTIONS, "is only allowed when stream is true"));
    }
    let options = options.unwrap_or_default();
    // Padding against whoever measures the stream changes how it looks, not what it says.
    const USAGE: &str = "include_usage";
    // As vLLM calls it.
    const ALWAYS: &str = "continuous_usage_stats";
    only(OPTIONS, &options, &[USAGE, ALWAYS, "include_obfuscation"])?;
    let is_on = |name: &str| match options.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(on)) => Ok(*on),
        Some(_) => Err(invalid(&format!("{OPTIONS}.{name}"), "must be true or false")),
    };
    let usage = match (is_on(USAGE)?, is_on(ALWAYS)?) {
        (true, true) => Usage::Always,
        (true, false) => Usage::AtTheEnd,
        (false, _) => Usage::Never,
    };
    Ok(Delivery { stream, usage })
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;
    use serde_json::json;

    use super::*;

    fn parameters(body: &Value) -> Parameters {
        Parameters::new(body.as_object().unwrap().clone())
    }

    #[test]
    fn both_names_of_the_limit_are_taken_and_a_contradiction_names_both() {
        for body in [
            json!({"max_tokens": 7}),
            json!({"max_completion_tokens": 7}),
            json!({"max_tokens": 7, "max_completion_tokens": 7}),
            json!({"max_tokens": null, "max_completion_tokens": 7}),
        ] {
            let limit = limit(&mut parameters(&body)).unwrap();
            assert_eq!(limit.tokens, Some(7));
            assert_eq!(body[limit.name], 7);
        }
        assert_eq!(limit(&mut parameters(&json!({}))).unwrap().tokens, None);
        let error = limit(&mut parameters(
            &json!({"max_tokens": 7, "max_completion_tokens": 8}),
        ))
        .unwrap_err();
        assert_eq!(error.field().as_deref(), Some("max_tokens"));
        assert!(error.to_string().contains("max_completion_tokens"), "{error}");
    }

    #[test]
    fn options_of_a_stream_are_those_known() {
        let asked = |options: Value| {
            delivery(&mut parameters(
                &json!({"stream": true, "stream_options": options}),
            ))
        };
        for (options, usage) in [
            (
                json!({"include_usage": true, "include_obfuscation": false}),
                Usage::AtTheEnd,
            ),
            (
                json!({"include_usage": true, "continuous_usage_stats": true}),
                Usage::Always,
            ),
            (
                json!({"include_usage": null, "continuous_usage_stats": true}),
                Usage::Never,
            ),
        ] {
            assert_eq!(asked(options).unwrap().usage, usage);
        }
        for (options, field) in [
            (json!({"x": 1}), "stream_options.x"),
            (json!({"include_usage": 1}), "stream_options.include_usage"),
            (
                json!({"continuous_usage_stats": "yes"}),
                "stream_options.continuous_usage_stats",
            ),
            (json!(7), "stream_options"),
        ] {
            assert_eq!(asked(options).unwrap_err().field().as_deref(), Some(field));
        }
    }

    #[test]
    fn whole_numbers_are_refused_with_their_range() {
        for (name, wrong, words) in [
            ("priority", json!(5_000_000_000_u64), "-2147483648 to 2147483647"),
            ("priority", json!("high"), "less is sooner"),
            ("seed", json!(1.5), "-9223372036854775808 to 9223372036854775807"),
            ("seed", json!(u64::MAX), "9223372036854775807"),
            ("deadline_ms", json!(-1), "milliseconds from 0"),
        ] {
            let error = take(&mut parameters(&json!({ name: wrong }))).unwrap_err();
            assert_eq!(error.field().as_deref(), Some(name));
            assert!(error.to_string().contains(words), "{error}");
        }
        let taken = take(&mut parameters(&json!({"priority": -3, "seed": -1}))).unwrap();
        assert_eq!((taken.priority, taken.seed), (-3, Some(u64::MAX)));
    }

    #[test]
    fn n_is_bounded_by_name() {
        assert_eq!(answers(&mut parameters(&json!({}))).unwrap(), 1);
        assert_eq!(answers(&mut parameters(&json!({"n": 16}))).unwrap(), 16);
        for wrong in [
            json!(0),
            json!(17),
            json!(1_000_000),
            json!(-1),
            json!(1.5),
            json!("2"),
            json!(1e30),
        ] {
            let error = answers(&mut parameters(&json!({ "n": wrong }))).unwrap_err();
            assert_eq!(error.field().as_deref(), Some("n"));
            assert!(error.to_string().contains("16"), "{error}");
        }
        let prompts = vec![GenerateRequest::default(); 64];
        assert_eq!(repeated(prompts.clone(), 2).unwrap().len(), 128);
        assert_eq!(repeated(prompts, 3).unwrap_err().field().as_deref(), Some("n"));
    }

    #[test]
    fn answers_to_a_prompt_lie_together_and_each_has_its_own_seed() {
        let prompt = |text: &str, seed| GenerateRequest {
            prompt: Some(text.to_owned()),
            seed,
            ..GenerateRequest::default()
        };
        let requests = repeated(vec![prompt("a", Some(7)), prompt("b", Some(7))], 3).unwrap();
        let texts: Vec<_> = requests
            .iter()
            .filter_map(|request| request.prompt.as_deref())
            .collect();
        assert_eq!(texts, ["a", "a", "a", "b", "b", "b"]);
        assert_eq!(
            requests[0].seed,
            Some(7),
            "the first is what a lone answer would be"
        );
        assert!(requests[1].seed != requests[0].seed && requests[1].seed != requests[2].seed);
        assert!(
            repeated(vec![prompt("a", None)], 2)
                .unwrap()
                .iter()
                .all(|request| request.seed.is_none())
        );
    }
}
