//! The parameters that both kinds of completion share.

use corliss_engine::protocol::GenerateRequest;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::parameters::{Parameters, invalid};
use crate::error::GatewayError;

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
    /// With the number of tokens in a last event.
    pub(super) include_usage: bool,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
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
    let seed = parameters.optional::<i64>("seed")?.map(i64::cast_unsigned);
    Ok(GenerateRequest {
        temperature,
        top_p,
        top_k: parameters.optional("top_k")?,
        min_p: parameters.optional("min_p")?,
        frequency_penalty: parameters.optional("frequency_penalty")?,
        presence_penalty: parameters.optional("presence_penalty")?,
        repetition_penalty: parameters.optional("repetition_penalty")?,
        logit_bias: logit_bias(parameters)?,
        seed,
        stop,
        ..GenerateRequest::default()
    })
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
            Ok(bias) => Ok((token, bias)),
            Err(_) => Err(invalid(NAME, &format!("the bias of token {shown} must be a number"))),
        }
    };
    given.unwrap_or_default().into_iter().map(read).collect()
}

/// Takes how the answer is sent.
pub(super) fn delivery(parameters: &mut Parameters) -> Result<Delivery, GatewayError> {
    let stream = parameters.optional::<bool>("stream")?.unwrap_or(false);
    let options = parameters.optional::<StreamOptions>("stream_options")?;
    if options.is_some() && !stream {
        return Err(invalid("stream_options", "is only allowed when stream is true"));
    }
    // Other options (padding against traffic analysis) change how the stream looks, not what it says.
    let include_usage = options.is_some_and(|options| options.include_usage);
    Ok(Delivery {
        stream,
        include_usage,
    })
}
