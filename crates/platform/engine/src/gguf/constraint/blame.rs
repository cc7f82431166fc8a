//! Which part of a schema cannot be followed. llguidance says what is wrong and not where, so parts are tried by
//! themselves: the deepest that fails for the same reason as the whole is what is at fault.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::schema::Refusal;
use super::words::{self, Fault, Words};

/// How long parts are tried. Beyond it what was found so far is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a schema cannot be followed, of which llguidance said this, and which part of it. `fails` says why a part cannot be
/// followed by itself, if it cannot.
pub(super) fn refusal(whole: &Value, said: &str, fails: impl Fn(&Value) -> Option<String>) -> Refusal {
    let until = Instant::now() + PATIENCE;
    let (mut at, mut told) = (String::new(), words::of(said));
    let mut seen = BTreeSet::from([String::new()]);
    loop {
        let fault = told.fault;
        let same = |part: &Value| {
            fails(part)
                .map(|said| words::of(&said))
                .filter(|told| told.fault == fault)
        };
        let parts = parts(whole, &at, fault).into_iter();
        let deeper = parts
            .filter(|place| seen.insert(place.clone()))
            .take_while(|_| Instant::now() < until)
            .find_map(|place| same(&alone(whole, &place)?).map(|told| (place, told)));
        match deeper {
            Some(deeper) => (at, told) = deeper,
            None => return placed(whole, at, told),
        }
    }
}

/// With the keyword that is at fault, if the part has it.
fn placed(whole: &Value, at: String, told: Words) -> Refusal {
    let has = |keyword: &&&str| {
        whole
            .pointer(&at)
            .is_some_and(|part| part.get(**keyword).is_some())
    };
    let keyword = told.fault.keywords().iter().find(has);
    Refusal {
        at: keyword.map_or(at.clone(), |keyword| format!("{at}/{keyword}")),
        reason: told.text,
    }
}

/// The part in this place, and what the whole has for parts to refer to.
fn alone(whole: &Value, place: &str) -> Option<Value> {
    let mut part = whole.pointer(place)?.clone();
    if let Value::Object(members) = &mut part {
        for name in ["$defs", "definitions"] {
            if let (Some(schemas), false) = (whole.get(name), members.contains_key(name)) {
                members.insert(name.to_owned(), schemas.clone());
            }
        }
    }
    Some(part)
}

/// Places of the parts that may be at fault for the schema in this place. That no answer fits a part is a fault of the
/// whole only where the part cannot be left out.
fn parts(whole: &Value, at: &str, fault: Fault) -> Vec<String> {
    let Some(members) = whole.pointer(at).and_then(Value::as_object) else {
        return Vec::new();
    };
    let any = fault != Fault::Nothing;
    let mut places = named(members, at, any);
    let length = |keyword: &str| members.get(keyword).and_then(Value::as_array).map_or(0, Vec::len);
    let least = members.get("minItems").and_then(Value::as_u64).unwrap_or(0);
    let least = usize::try_from(least).unwrap_or(usize::MAX);
    let lists = [
        ("prefixItems", if any { usize::MAX } else { least }),
        ("allOf", usize::MAX),
        ("anyOf", if any { usize::MAX } else { 0 }),
        ("oneOf", if any { usize::MAX } else { 0 }),
    ];
    for (keyword, most) in lists {
        places.extend((0..length(keyword).min(most)).map(|index| format!("{at}/{keyword}/{index}")));
    }
    if members.contains_key("items") && (any || least > length("prefixItems")) {
        places.push(format!("{at}/items"));
    }
    if members.contains_key("additionalProperties") && any {
        places.push(format!("{at}/additionalProperties"));
    }
    let referred = members.get("$ref").and_then(Value::as_str);
    places.extend(
        referred
            .and_then(|reference| reference.strip_prefix('#'))
            .map(str::to_owned),
    );
    places
}

fn named(members: &Map<String, Value>, at: &str, any: bool) -> Vec<String> {
    let required = members.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|required| required == name));
    let mut places = Vec::new();
    for keyword in ["properties", "patternProperties"] {
        let schemas = members.get(keyword).and_then(Value::as_object);
        let names = schemas.into_iter().flat_map(Map::keys);
        places.extend(
            names
                .filter(|name| any || (keyword == "properties" && is_required(name)))
                .map(|name| format!("{at}/{keyword}/{}", name.replace('~', "~0").replace('/', "~1"))),
        );
    }
    places
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ONE_OF: &str = "oneOf constraints are not supported";
    const NOTHING: &str = "Unsatisfiable schema: schema is false";

    /// Fails where it has `oneOf` somewhere, for that; else where it is false. What parts refer to is not looked at.
    fn fails(part: &Value) -> Option<String> {
        let mut itself = part.clone();
        if let Some(members) = itself.as_object_mut() {
            members.shift_remove("$defs");
        }
        if itself.to_string().contains("oneOf") {
            return Some(ONE_OF.to_owned());
        }
        (part == &json!(false)).then(|| NOTHING.to_owned())
    }

    #[test]
    fn the_deepest_part_that_fails_for_the_same_reason_is_named() {
        let whole = json!({"type": "object", "properties": {
            "good": {"type": "string"},
            "a/b": {"items": {"anyOf": [{"type": "null"}, {"oneOf": [{"type": "null"}, {}]}]}},
        }});
        let told = refusal(&whole, ONE_OF, fails);
        assert_eq!(told.at, "/properties/a~1b/items/anyOf/1/oneOf");
        assert!(told.reason.contains("anyOf"), "{told}");
        assert_eq!(refusal(&json!({"oneOf": [{}, {}]}), ONE_OF, fails).at, "/oneOf");
    }

    #[test]
    fn references_are_followed_once() {
        let whole =
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}, "oneOf": [{}]}}});
        assert_eq!(refusal(&whole, ONE_OF, fails).at, "/$defs/a/oneOf");
    }

    #[test]
    fn what_may_be_left_out_is_not_blamed_for_fitting_nothing() {
        let whole = json!({"properties": {"free": false, "must": false}, "required": ["must"],
            "additionalProperties": false, "items": false});
        assert_eq!(refusal(&whole, NOTHING, fails).at, "/properties/must");
        let whole = json!({"items": false, "anyOf": [false], "prefixItems": [true, false], "minItems": 2});
        assert_eq!(refusal(&whole, NOTHING, fails).at, "/prefixItems/1");
    }
}
