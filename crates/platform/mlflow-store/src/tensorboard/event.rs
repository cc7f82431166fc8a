//! An event: when, at which step, and values by tag. Of values, scalars are read, and the parameters of the hparams plugin.

use std::collections::BTreeMap;

use super::wire::{Field, fields, varint};

/// An event.
pub(super) struct Event {
    /// Seconds.
    pub wall_time: f64,
    pub step: i64,
    /// Tag, kind if it is said, value.
    pub values: Vec<(String, Option<String>, Value)>,
}

/// What a tag has at a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar(f64),
    Hparams(BTreeMap<String, String>),
    /// Something of a kind that its field tells.
    Kind(&'static str),
    Other,
}

impl Event {
    /// Nothing if the bytes are no event.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut event = Self {
            wall_time: 0.0,
            step: 0,
            values: Vec::new(),
        };
        fields(bytes, |number, field| {
            match (number, field) {
                (1, field) => event.wall_time = field.double()?,
                (2, Field::Varint(step)) => event.step = step.cast_signed(),
                (5, Field::Bytes(summary)) => fields(summary, |number, field| {
                    if let (1, Field::Bytes(value)) = (number, field) {
                        event.values.push(value_of(value)?);
                    }
                    Some(())
                })?,
                _ => {}
            }
            Some(())
        })?;
        Some(event)
    }
}

fn value_of(bytes: &[u8]) -> Option<(String, Option<String>, Value)> {
    let (mut tag, mut value, mut plugin) = (String::new(), Value::Other, None);
    fields(bytes, |number, field| {
        match (number, field) {
            (1, field) => tag = field.text()?,
            (2, Field::Fixed32(bits)) => value = Value::Scalar(f64::from(f32::from_bits(bits))),
            (4, _) => value = Value::Kind("images"),
            (5, _) => value = Value::Kind("histograms"),
            (6, _) => value = Value::Kind("audio"),
            (8, Field::Bytes(tensor)) => {
                if let Some(number) = scalar_of(tensor) {
                    value = Value::Scalar(number);
                }
            }
            (9, Field::Bytes(metadata)) => plugin = plugin_of(metadata)?,
            _ => {}
        }
        Some(())
    })?;
    let (kind, content) = plugin.unzip();
    if kind.as_deref() == Some("hparams") {
        value = match content.and_then(hparams_of) {
            Some(params) => Value::Hparams(params),
            None => Value::Other,
        };
    }
    Some((tag, kind, value))
}

/// Name of the plugin and what it says; the second answer is nothing where no plugin is named.
#[expect(
    clippy::option_option,
    reason = "no message, a message without a plugin, and one with it are three things"
)]
fn plugin_of(metadata: &[u8]) -> Option<Option<(String, &[u8])>> {
    let mut found = None;
    fields(metadata, |number, field| {
        if let (1, Field::Bytes(data)) = (number, field) {
            let (mut name, mut content) = (String::new(), &[][..]);
            fields(data, |number, field| {
                match number {
                    1 => name = field.text()?,
                    2 => content = field.bytes()?,
                    _ => {}
                }
                Some(())
            })?;
            found = Some((name, content));
        }
        Some(())
    })?;
    Some(found)
}

/// The number of a tensor that has one; nothing for all others.
fn scalar_of(tensor: &[u8]) -> Option<f64> {
    let (mut kind, mut content, mut numbers) = (0, None, Vec::new());
    fields(tensor, |number, field| {
        match (number, field) {
            (1, Field::Varint(found)) => kind = found,
            (4, Field::Bytes(bytes)) => content = Some(bytes),
            (5, Field::Fixed32(bits)) => numbers.push(f64::from(f32::from_bits(bits))),
            (5, Field::Bytes(packed)) => numbers.extend(
                packed
                    .chunks_exact(4)
                    .map(|four| f64::from(f32::from_le_bytes(std::array::from_fn(|at| four[at])))),
            ),
            (6, Field::Fixed64(bits)) => numbers.push(f64::from_bits(bits)),
            (6, Field::Bytes(packed)) => numbers.extend(
                packed
                    .chunks_exact(8)
                    .map(|eight| f64::from_le_bytes(std::array::from_fn(|at| eight[at]))),
            ),
            (7 | 10, Field::Varint(number)) => numbers.push(whole(number.cast_signed())),
            (7 | 10, Field::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    numbers.push(whole(varint(&mut packed)?.cast_signed()));
                }
            }
            _ => {}
        }
        Some(())
    })?;
    match (kind, content) {
        (1, Some(bytes)) => Some(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        (2, Some(bytes)) => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
        (3, Some(bytes)) => Some(i32::from_le_bytes(bytes.try_into().ok()?).into()),
        (9, Some(bytes)) => Some(whole(i64::from_le_bytes(bytes.try_into().ok()?))),
        (1..=3 | 9, None) if numbers.len() == 1 => numbers.pop(),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric's value is a real")]
fn whole(number: i64) -> f64 {
    number as f64
}

/// What a session of the hparams plugin starts with; nothing if the message says something else.
fn hparams_of(content: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut params = None;
    fields(content, |number, field| {
        if let (3, Field::Bytes(session)) = (number, field) {
            let found = params.get_or_insert_with(BTreeMap::new);
            fields(session, |number, field| {
                if let (1, Field::Bytes(entry)) = (number, field) {
                    let (mut key, mut value) = (String::new(), None);
                    fields(entry, |number, field| {
                        match (number, field) {
                            (1, field) => key = field.text()?,
                            (2, Field::Bytes(bytes)) => value = param_of(bytes),
                            _ => {}
                        }
                        Some(())
                    })?;
                    found.extend(value.map(|value| (key, value)));
                }
                Some(())
            })?;
        }
        Some(())
    })?;
    params
}

fn param_of(value: &[u8]) -> Option<String> {
    let mut text = None;
    fields(value, |number, field| {
        match (number, field) {
            (2, field) => text = Some(field.double()?.to_string()),
            (3, field) => text = field.text(),
            (4, Field::Varint(yes)) => text = Some(if yes == 0 { "False" } else { "True" }.to_owned()),
            _ => {}
        }
        Some(())
    })?;
    text
}
