//! What a JSON schema may say. A keyword that the grammar would pass over in silence is refused by its place, and so is
//! what is too large to compile in reasonable time. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Bytes of a schema as JSON text.
const MAX_BYTES: usize = 256 << 10;
/// Schemas within schemas.
const MAX_NESTING: usize = 32;
/// References, and schemas joined with others, that lead to what a schema is.
const MAX_NESTED_REFERENCES: usize = 64;
/// Schemas, members of `enum` and names of properties together.
const MAX_PARTS: usize = 10_000;
/// Combinations that `allOf` makes of the alternatives in its members.
const MAX_COMBINATIONS: usize = 256;
/// Properties of one object that may be left out: each is a way to go on at every place.
const MAX_OPTIONAL: usize = 500;
/// For numbers of items, properties and characters.
const MAX_COUNT: u64 = 10_000;
/// Characters of a place's beginning, and of its end, that an error repeats.
const PLACE_END: usize = 60;
/// Digits behind the point of `multipleOf`.
const MAX_DECIMALS: usize = 9;

/// The largest number that a double keeps exactly, and all whole ones below it.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
const TYPES: &[&str] = &[
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// Formats of texts that are followed.
pub(super) const FORMATS: &[&str] = &[
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
    "uri",
];

/// Keywords that say something about the value and are followed.
const FOLLOWED: &[&str] = &[
    "type",
    "const",
    "enum",
    "$ref",
    "anyOf",
    "oneOf",
    "allOf",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "properties",
    "additionalProperties",
    "patternProperties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];
/// Keywords that say nothing about the value.
const ANNOTATIONS: &[&str] = &[
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "example",
    "examples",
    "discriminator",
];

/// Why a schema is not taken, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// A JSON pointer; empty is the schema itself.
    pub at: String,
    pub reason: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.at.is_empty() {
            write!(f, "the schema {}", self.reason)
        } else {
            write!(f, "at {}: {}", shown(&self.at), self.reason)
        }
    }
}

/// As much of a place as an error repeats: a deep one by its beginning and its end.
fn shown(at: &str) -> String {
    let count = at.chars().count();
    if count <= 2 * PLACE_END {
        return at.to_owned();
    }
    let begin: String = at.chars().take(PLACE_END).collect();
    let end: String = at.chars().skip(count - PLACE_END).collect();
    format!("{begin}…{end}")
}

/// Refuses what cannot be followed.
pub(super) fn check(schema: &Value) -> Result<(), Refusal> {
    let mut walk = Walk {
        parts: 0,
        given: BTreeMap::new(),
    };
    let size = schema.to_string().len();
    if size > MAX_BYTES {
        return refuse("", format!("has {size} bytes, and at most {MAX_BYTES} are taken"));
    }
    if schema == &Value::Bool(false) {
        return refuse("", "is false, which no answer fits");
    }
    walk.schema(schema, "", 0)?;
    walk.ends(schema)
}

/// Refuses numbers that are no longer what was written, once they are read.
fn exact(value: &Value, at: &str) -> Result<(), Refusal> {
    match value {
        Value::Number(number) if number.is_f64() && number.as_f64().is_none_or(|n| n.abs() > EXACT_MAX) => {
            refuse(at, "holds a number that is too large to be kept exactly")
        }
        Value::Array(values) => values.iter().try_for_each(|value| exact(value, at)),
        Value::Object(members) => members.values().try_for_each(|value| exact(value, at)),
        _ => Ok(()),
    }
}

/// Whether a number becomes whole by few moves of its point, as doubles have it.
fn is_kept_exactly(mut number: f64) -> bool {
    if number <= 0.0 {
        return false;
    }
    for _ in 0..=MAX_DECIMALS {
        if number.fract() == 0.0 {
            return number <= f64::from(u32::MAX);
        }
        number *= 10.0;
    }
    false
}

/// Refuses a format of texts that is not known. One of other types says nothing.
fn check_format(members: &Map<String, Value>, at: &str) -> Result<(), Refusal> {
    let Some(format) = members.get("format") else {
        return Ok(());
    };
    let is_text = match members.get("type") {
        None => true,
        Some(Value::Array(types)) => types.iter().any(|name| name == "string"),
        Some(name) => name == "string",
    };
    let is_known = format.as_str().is_some_and(|format| FORMATS.contains(&format));
    if !is_text || is_known {
        return Ok(());
    }
    let reason = format!("must be one of {}; say others as a pattern", FORMATS.join(", "));
    refuse(&format!("{at}/format"), reason)
}

struct Walk {
    parts: usize,
    /// Places of schemas that are given by others: each by one that it refers to, or by all that it joins.
    given: BTreeMap<String, Vec<String>>,
}

fn refuse<T>(at: &str, reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        at: at.to_owned(),
        reason: reason.into(),
    })
}

impl Walk {
    /// Looks at a schema; answers how many alternatives it has where it is joined with others.
    fn schema(&mut self, schema: &Value, at: &str, nesting: usize) -> Result<usize, Refusal> {
        self.count(1, at)?;
        if nesting > MAX_NESTING {
            return refuse(
                at,
                format!("schemas lie more than {MAX_NESTING} deep in each other"),
            );
        }
        let members = match schema {
            Value::Bool(_) => return Ok(1),
            Value::Object(members) => members,
            _ => return refuse(at, "must be an object or a boolean"),
        };
        for (keyword, value) in members {
            self.keyword(keyword, value, at)?;
        }
        check_format(members, at)?;
        self.note_givers(members, at);
        self.named(members, at, nesting)?;
        for keyword in ["additionalProperties", "items"] {
            if let Some(value) = members.get(keyword) {
                self.schema(value, &format!("{at}/{keyword}"), nesting + 1)?;
            }
        }
        self.list(members.get("prefixItems"), "prefixItems", at, nesting)?;
        let any: usize = self
            .list(members.get("anyOf"), "anyOf", at, nesting)?
            .iter()
            .sum();
        let one: usize = self
            .list(members.get("oneOf"), "oneOf", at, nesting)?
            .iter()
            .sum();
        let all = self.list(members.get("allOf"), "allOf", at, nesting)?;
        let product = all
            .iter()
            .chain([&any.max(1), &one.max(1)])
            .fold(1_usize, |product, alternatives| {
                product.saturating_mul(*alternatives)
            });
        if product > MAX_COMBINATIONS && (!all.is_empty() || (any > 1 && one > 1)) {
            return refuse(
                at,
                format!(
                    "makes {product} combinations of alternatives, and at most {MAX_COMBINATIONS} are taken"
                ),
            );
        }
        Ok(product)
    }

    /// Notes which schemas say what this one is.
    fn note_givers(&mut self, members: &Map<String, Value>, at: &str) {
        let joined = members.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
        let mut givers: Vec<String> = (0..joined).map(|index| format!("{at}/allOf/{index}")).collect();
        let referred = members.get("$ref").and_then(Value::as_str);
        givers.extend(
            referred
                .and_then(|reference| reference.strip_prefix('#'))
                // A name with escaped bytes is for the compiler to find.
                .filter(|reference| !reference.contains('%'))
                .map(str::to_owned),
        );
        if !givers.is_empty() {
            self.given.insert(at.to_owned(), givers);
        }
    }

    /// Refuses references to nothing, and a schema that is what it is itself.
    fn ends(&self, whole: &Value) -> Result<(), Refusal> {
        let mut ends = BTreeSet::new();
        for (at, givers) in &self.given {
            for giver in givers {
                if whole.pointer(giver).is_none() {
                    return refuse(&format!("{at}/$ref"), format!("there is nothing at #{giver}"));
                }
            }
            self.follow(at, &mut BTreeSet::new(), &mut ends)?;
        }
        Ok(())
    }

    /// Follows a schema to those that say what it is. `behind` leads to it, `ends` were followed before.
    fn follow<'a>(
        &'a self,
        at: &'a str,
        behind: &mut BTreeSet<&'a str>,
        ends: &mut BTreeSet<&'a str>,
    ) -> Result<(), Refusal> {
        if ends.contains(at) {
            return Ok(());
        }
        if behind.len() > MAX_NESTED_REFERENCES {
            return refuse(
                at,
                format!("lies behind more than {MAX_NESTED_REFERENCES} references"),
            );
        }
        if !behind.insert(at) {
            return refuse(at, "leads back to itself, before it says what an answer is");
        }
        for giver in self.given.get(at).into_iter().flatten() {
            self.follow(giver, behind, ends)?;
        }
        behind.remove(at);
        ends.insert(at);
        Ok(())
    }

    /// Schemas that have names.
    fn named(&mut self, members: &Map<String, Value>, at: &str, nesting: usize) -> Result<(), Refusal> {
        for keyword in ["properties", "patternProperties", "$defs", "definitions"] {
            let Some(value) = members.get(keyword) else {
                continue;
            };
            let Some(schemas) = value.as_object() else {
                return refuse(&format!("{at}/{keyword}"), "must be an object");
            };
            let required = members
                .get("required")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            if keyword == "properties" && schemas.len().saturating_sub(required) > MAX_OPTIONAL {
                let reason = format!("has more than {MAX_OPTIONAL} names that are not required");
                return refuse(&format!("{at}/{keyword}"), reason);
            }
            for (name, schema) in schemas {
                let name = name.replace('~', "~0").replace('/', "~1");
                self.schema(schema, &format!("{at}/{keyword}/{name}"), nesting + 1)?;
            }
        }
        Ok(())
    }

    fn list(
        &mut self,
        value: Option<&Value>,
        keyword: &str,
        at: &str,
        nesting: usize,
    ) -> Result<Vec<usize>, Refusal> {
        let Some(value) = value else {
            return Ok(Vec::new());
        };
        let at = format!("{at}/{keyword}");
        let Some(schemas) = value.as_array().filter(|schemas| !schemas.is_empty()) else {
            return refuse(&at, "must be an array of schemas, at least one");
        };
        let schemas = schemas.iter().enumerate();
        schemas
            .map(|(index, schema)| self.schema(schema, &format!("{at}/{index}"), nesting + 1))
            .collect()
    }

    fn keyword(&mut self, keyword: &str, value: &Value, at: &str) -> Result<(), Refusal> {
        let place = || format!("{at}/{keyword}");
        match keyword {
            "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minLength" | "maxLength" => {
                match value.as_u64() {
                    Some(count) if count <= MAX_COUNT => Ok(()),
                    _ => refuse(&place(), format!("must be a whole number of at most {MAX_COUNT}")),
                }
            }
            "enum" => match value.as_array() {
                Some(values) if !values.is_empty() => {
                    exact(value, &place())?;
                    self.count(values.len(), at)
                }
                _ => refuse(&place(), "must be an array of at least one value"),
            },
            "const" => exact(value, &place()),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => match value.as_f64() {
                Some(bound) if bound.abs() <= EXACT_MAX => Ok(()),
                _ => refuse(&place(), "must be a number of at most 2^53, either side of zero"),
            },
            "multipleOf" if value.as_f64().is_some_and(is_kept_exactly) => Ok(()),
            "multipleOf" => refuse(
                &place(),
                format!(
                    "must be a number above 0, of at most {}, that is kept exactly, such as 3, 0.5 or 0.01",
                    u32::MAX
                ),
            ),
            "pattern" if !value.is_string() => refuse(&place(), "must be a regular expression as a text"),
            "required" => match value.as_array() {
                Some(names) if names.iter().all(Value::is_string) => Ok(()),
                _ => refuse(&place(), "must be an array of names"),
            },
            "type" => {
                let known = |name: &Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
                let is_known = match value {
                    Value::Array(names) => !names.is_empty() && names.iter().all(known),
                    name => known(name),
                };
                if is_known {
                    return Ok(());
                }
                refuse(
                    &place(),
                    format!("must be one of {}, or an array of them", TYPES.join(", ")),
                )
            }
            "items" if value.is_array() => {
                refuse(&place(), "is a list; a list of schemas is called prefixItems")
            }
            "$ref" => match value.as_str() {
                Some(reference) if reference == "#" || reference.starts_with("#/") => Ok(()),
                _ => refuse(&place(), "must lie within the schema, as in #/$defs/name"),
            },
            "uniqueItems" | "unevaluatedProperties" | "unevaluatedItems"
                if value.is_boolean() && (keyword == "uniqueItems") != (value == true) =>
            {
                Ok(())
            }
            known if FOLLOWED.contains(&known) || ANNOTATIONS.contains(&known) => Ok(()),
            _ => {
                let shown: String = keyword.chars().take(80).collect();
                refuse(
                    at,
                    format!("holds the keyword '{shown}', which answers cannot be held to"),
                )
            }
        }
    }

    fn count(&mut self, parts: usize, at: &str) -> Result<(), Refusal> {
        self.parts += parts;
        if self.parts > MAX_PARTS {
            return refuse(
                at,
                format!("is the place where the schema has more than {MAX_PARTS} parts"),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(schema: &Value) -> Refusal {
        check(schema).unwrap_err()
    }

    #[test]
    fn usual_schemas_are_taken() {
        check(&json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Step", "type": "object", "required": ["name", "next"], "additionalProperties": false,
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 40, "description": "of the step"},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": false},
                "next": {"anyOf": [{"$ref": "#/$defs/step"}, {"type": "null"}]},
            },
            "$defs": {"step": {"$ref": "#"}},
        }))
        .unwrap();
        check(&json!(true)).unwrap();
        check(&json!({"type": "integer", "format": "int32", "multipleOf": 0.01})).unwrap();
        check(&json!({"type": ["string", "null"], "format": "uuid"})).unwrap();
    }

    #[test]
    fn nothing_at_all_and_a_deep_place_are_told_in_few_words() {
        assert_eq!(
            refused(&json!(false)).to_string(),
            "the schema is false, which no answer fits"
        );
        let mut deep = json!({"not": {}});
        for _ in 0..MAX_NESTING {
            deep = json!({"properties": {"a_long_name_of_a_property": deep}});
        }
        let told = refused(&deep).to_string();
        assert!(
            told.chars().count() < 250 && told.contains("a_property…") || told.contains('…'),
            "{told}"
        );
    }

    #[test]
    fn what_would_have_no_effect_is_refused_by_place() {
        let inside = |schema: Value| json!({"type": "object", "properties": {"a/b": schema}});
        for (keyword, value) in [
            ("not", json!({})),
            ("if", json!({})),
            ("uniqueItems", json!(true)),
            ("dependentRequired", json!({})),
            ("minLenght", json!(3)),
            ("x-guidance", json!({"lenient": true})),
            ("unevaluatedProperties", json!(false)),
        ] {
            let refusal = refused(&inside(json!({"type": "string", keyword: value})));
            assert_eq!(refusal.at, "/properties/a~1b", "{keyword}");
            assert!(refusal.reason.contains(keyword), "{refusal}");
        }
        for (schema, at) in [
            (json!(7), "/properties/a~1b"),
            (json!({"items": [{}]}), "/properties/a~1b/items"),
            (json!({"$ref": "http://other/schema"}), "/properties/a~1b/$ref"),
            (json!({"enum": []}), "/properties/a~1b/enum"),
            (json!({"anyOf": []}), "/properties/a~1b/anyOf"),
            (json!({"maxItems": 1_000_000_000}), "/properties/a~1b/maxItems"),
            (json!({"minLength": -1}), "/properties/a~1b/minLength"),
            (json!({"properties": []}), "/properties/a~1b/properties"),
            (json!({"minimum": 1e30}), "/properties/a~1b/minimum"),
            (json!({"maximum": "9"}), "/properties/a~1b/maximum"),
            (json!({"multipleOf": 0}), "/properties/a~1b/multipleOf"),
            (json!({"multipleOf": 0.07}), "/properties/a~1b/multipleOf"),
            (json!({"pattern": 7}), "/properties/a~1b/pattern"),
            (json!({"required": "a"}), "/properties/a~1b/required"),
            (
                json!({"type": "string", "format": "phone"}),
                "/properties/a~1b/format",
            ),
            (json!({"format": 7}), "/properties/a~1b/format"),
            (json!({"enum": [1, [1e22]]}), "/properties/a~1b/enum"),
            (
                json!({"const": 18_446_744_073_709_551_617_f64}),
                "/properties/a~1b/const",
            ),
            (json!({"type": "foo"}), "/properties/a~1b/type"),
            (json!({"type": ["string", 7]}), "/properties/a~1b/type"),
        ] {
            assert_eq!(refused(&inside(schema)).at, at);
        }
    }

    #[test]
    fn what_leads_back_to_itself_or_nowhere_is_refused() {
        for (schema, at) in [
            (json!({"$ref": "#"}), ""),
            (json!({"allOf": [{"type": "null"}, {"$ref": "#"}]}), ""),
            (
                json!({"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
                "/$defs/a",
            ),
            (json!({"items": {"$ref": "#/$defs/gone"}}), "/items/$ref"),
        ] {
            assert_eq!(refused(&schema).at, at, "{schema}");
        }
        check(&json!({"anyOf": [{"type": "null"}, {"$ref": "#"}]})).unwrap();
        check(&json!({"$ref": "#/$defs/a%20b", "$defs": {"a b": {"type": "null"}}})).unwrap();
        check(&json!({"allOf": [{"type": "array"}, {"items": {"$ref": "#"}}]})).unwrap();
        let mut chain: Map<String, Value> = (0..MAX_NESTED_REFERENCES)
            .map(|at| (at.to_string(), json!({"$ref": format!("#/$defs/{}", at + 1)})))
            .collect();
        chain.insert(MAX_NESTED_REFERENCES.to_string(), json!({"type": "null"}));
        assert!(
            refused(&json!({"$ref": "#/$defs/0", "$defs": chain}))
                .reason
                .contains("references")
        );
    }

    #[test]
    fn what_is_built_to_explode_is_refused_before_it_is_compiled() {
        let mut deep = json!({});
        for _ in 0..=MAX_NESTING {
            deep = json!({"items": deep});
        }
        assert!(refused(&deep).reason.contains("deep"));
        let either = json!({"anyOf": [{"type": "string"}, {"type": "number"}]});
        assert!(
            refused(&json!({"allOf": vec![either; 20]}))
                .reason
                .contains("combinations")
        );
        let names: Map<String, Value> = (0..=MAX_OPTIONAL)
            .map(|name| (name.to_string(), json!({})))
            .collect();
        let mut object = json!({ "properties": names });
        assert!(refused(&object).reason.contains("not required"));
        object["required"] = json!(["0"]);
        check(&object).unwrap();
        let many: Vec<u32> = (0..20_000).collect();
        assert!(refused(&json!({"enum": many})).reason.contains("parts"));
        let wide = json!({"description": "x".repeat(MAX_BYTES)});
        assert!(refused(&wide).reason.contains("bytes"));
    }
}
