//! What of accelerators and nodes will do for a step: read from its section, and held to what there is.

use corliss_types::{Nearness, Placing, is_called};

use super::Site;
use super::problem::{Mark, Problems, suggest};
use super::scalar;
use super::section::{self, Located, Section, Spanned};
use super::tree::Value;

pub(super) const TOPOLOGY_KEYS: &[&str] = &["within", "near"];
const MAX_ACCELERATORS: u64 = 1_024;
const MAX_MODELS: usize = 32;

/// Accelerators that each worker asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accelerators {
    Whole(u32),
    /// Thousandths of one.
    Part(i16),
}

/// `2`, or `0.5` of one.
pub(super) fn accelerators(located: Located<'_>, problems: &mut Problems) -> Option<Accelerators> {
    let at = (located.node.at, located.field.to_owned());
    let milli = section::quantity(located, problems, scalar::accelerator_milli)?;
    let whole = (milli % 1_000 == 0).then_some(milli / 1_000);
    match (whole, i16::try_from(milli)) {
        (Some(count), _) if count <= MAX_ACCELERATORS => u32::try_from(count).ok().map(Accelerators::Whole),
        (None, Ok(part)) if part < 1_000 => Some(Accelerators::Part(part)),
        _ => {
            let message = format!(
                "ask for whole accelerators, {MAX_ACCELERATORS} at most, or for a part of one, such as 0.5"
            );
            problems.add(at.0, &at.1, message);
            None
        }
    }
}

/// Where each of it was said, for what is found wrong later.
#[derive(Default)]
pub(super) struct RawPlacing {
    pub(super) placing: Placing,
    models: Vec<Spanned<String>>,
    memory: Option<Spanned<u64>>,
    level: Option<Spanned<String>>,
}

impl RawPlacing {
    /// What a section of resources says of it.
    pub(super) fn read(&mut self, section: &Section<'_>, problems: &mut Problems) {
        self.models = section
            .get("accelerator_model", problems, models)
            .unwrap_or_default();
        self.memory = section.get("accelerator_memory", problems, |at, problems| {
            let (mark, field) = (at.node.at, at.field.to_owned());
            let value = section::quantity(at, problems, scalar::memory_bytes)?;
            Some(Spanned {
                value,
                at: mark,
                field,
            })
        });
        let models = self.models.iter().map(|model| model.value.clone());
        self.placing.accelerator_models = models.collect();
        self.placing.accelerator_memory_bytes = self.memory.as_ref().map(|memory| memory.value);
    }

    /// `spread`, `{within: rack}` or `{near: rack}`.
    pub(super) fn read_topology(&mut self, located: Located<'_>, problems: &mut Problems) -> Option<()> {
        let (at, field) = (located.node.at, located.field);
        if matches!(located.node.value, Value::Scalar { .. }) {
            let near = section::parsed(located, problems, |text| match text {
                "spread" => Ok(Nearness::Spread),
                other => Err(format!(
                    "'{other}' is no topology; write spread, {{within: rack}} or {{near: rack}}"
                )),
            })?;
            self.placing.near = Some(near);
            return Some(());
        }
        let section = Section::open(located.node, field, at, TOPOLOGY_KEYS, problems)?;
        let within = section.get("within", problems, section::spanned_name);
        let near = section.get("near", problems, section::spanned_name);
        let (level, nearness) = match (within, near) {
            (Some(level), None) => (level.clone(), Nearness::Within(level.value)),
            (None, Some(level)) => (level.clone(), Nearness::Near(level.value)),
            (Some(_), Some(_)) => {
                problems.add(at, field, "say either within or near".to_owned());
                return None;
            }
            (None, None) => return None,
        };
        self.level = Some(level);
        self.placing.near = Some(nearness);
        Some(())
    }

    /// Whether there is what is named.
    pub(super) fn check(&self, site: &Site, problems: &mut Problems) {
        for model in &self.models {
            if !site
                .accelerators
                .iter()
                .any(|known| is_called(&known.model, &model.value))
            {
                let message = match site.accelerators.is_empty() {
                    true => "the machine has no accelerators".to_owned(),
                    false => format!("the machine has no accelerator '{}'", model.value),
                };
                let known = site.accelerators.iter().map(|known| known.model.as_str());
                problems.add_with_hint(model.at, &model.field, message, there_is(known));
            }
        }
        let largest = site
            .accelerators
            .iter()
            .map(|known| known.memory_bytes)
            .max()
            .unwrap_or(0);
        if let Some(memory) = self.memory.as_ref().filter(|memory| memory.value > largest) {
            let has = corliss_types::amount::memory(largest);
            let message = format!("the largest accelerator of the machine has {has}");
            problems.add(memory.at, &memory.field, message);
        }
        if let Some(level) = self
            .level
            .as_ref()
            .filter(|level| !site.levels.contains(&level.value))
        {
            let known = site.levels.iter().map(String::as_str);
            let hint = suggest(&level.value, known.clone()).or_else(|| there_is(known));
            let message = format!("nodes stand in no {}", level.value);
            problems.add_with_hint(level.at, &level.field, message, hint);
        }
    }
}

/// What can be named instead.
fn there_is<'a>(known: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut names: Vec<&str> = known.collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| format!("there is: {}", names.join(", ")))
}

/// One name, or a list of them; a model's name may have spaces.
fn models(located: Located<'_>, problems: &mut Problems) -> Option<Vec<Spanned<String>>> {
    let one = |node, field: &str, at: Mark, problems: &mut Problems| {
        let value = section::text(Located { node, field }, problems)?;
        Some(Spanned {
            value,
            at,
            field: field.to_owned(),
        })
    };
    let Value::List(items) = &located.node.value else {
        return Some(vec![one(located.node, located.field, located.node.at, problems)?]);
    };
    if items.is_empty() || items.len() > MAX_MODELS {
        let message = format!("name 1 to {MAX_MODELS} models");
        problems.add(located.node.at, located.field, message);
        return None;
    }
    let mut found = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let field = format!("{}[{index}]", located.field);
        found.extend(one(item, &field, item.at, problems));
    }
    Some(found)
}
