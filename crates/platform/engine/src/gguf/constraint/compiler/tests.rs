//! What compiles, what is refused and in which words, and how long that may take.

use super::*;

/// A vocabulary of single bytes, some words, and one token that ends.
fn vocabulary() -> (Vec<Box<[u8]>>, Vec<bool>) {
    let words = ["{\"", "\":", "true", "name", " ", "the "];
    let mut pieces: Vec<Box<[u8]>> = (0..=255_u8).map(|byte| Box::from([byte])).collect();
    pieces.extend(words.map(|word| Box::from(word.as_bytes())));
    pieces.push(Box::from([]));
    let mut ends = vec![false; pieces.len()];
    ends[pieces.len() - 1] = true;
    (pieces, ends)
}

fn begun(format: &AnswerFormat) -> Result<Constraint, String> {
    let (pieces, ends) = vocabulary();
    begin(&factory(&pieces, &ends).unwrap(), format, &mut VecDeque::new())
}

/// Whether the grammar takes a text byte by byte, and may end behind it.
fn takes(format: &AnswerFormat, text: &str) -> bool {
    let end = vocabulary().0.len() - 1;
    let mut constraint = begun(format).unwrap();
    for (at, byte) in text.bytes().enumerate() {
        if !constraint.allowed().unwrap().get(usize::from(byte)) {
            return false;
        }
        if constraint.accept(usize::from(byte)).unwrap() {
            return at + 1 == text.len();
        }
    }
    constraint.allowed().unwrap().get(end)
}

fn of_schema(schema: Value) -> AnswerFormat {
    AnswerFormat::JsonSchema(schema)
}

#[test]
fn only_what_the_schema_says_may_come_and_it_ends_where_it_is_complete() {
    let person = of_schema(json!({
        "type": "object", "required": ["name", "age"], "additionalProperties": false,
        "properties": {"name": {"type": "string", "maxLength": 5}, "age": {"type": "integer", "minimum": 0}},
    }));
    assert!(takes(&person, r#"{"name": "Ada", "age": 36}"#));
    assert!(takes(&person, "{\"name\":\"Ada\",\n  \"age\":36}"));
    for wrong in [
        r#"{"age": 36, "name": "Ada"}"#,
        r#"{"name": "Ada"}"#,
        r#"{"name": "Adalbert", "age": 3}"#,
        r#"{"name": "Ada", "age": -3}"#,
        r#"{"name": "Ada", "age": 36"#,
        r#"{"name":   "Ada", "age": 36}"#,
        "hello",
    ] {
        assert!(!takes(&person, wrong), "{wrong}");
    }
}

#[test]
fn objects_patterns_choices_and_grammars() {
    assert!(takes(&AnswerFormat::JsonObject, r#"{"a": [1, {"b": null}]}"#));
    assert!(!takes(&AnswerFormat::JsonObject, "[1]"));
    let year = AnswerFormat::Regex("[12][0-9]{3}".to_owned());
    assert!(takes(&year, "1843") && !takes(&year, "3000") && !takes(&year, "184"));
    let choice = AnswerFormat::Choice(vec!["yes \"sir\"".to_owned(), "né\n".to_owned()]);
    assert!(takes(&choice, "yes \"sir\"") && takes(&choice, "né\n") && !takes(&choice, "yes"));
    let lark = AnswerFormat::Lark("start: \"a\"+ end\nend: \"b\" | \"c\"".to_owned());
    assert!(takes(&lark, "aab") && takes(&lark, "c") == takes(&lark, "b"));
}

#[test]
fn tools_are_called_in_the_form_of_the_template_or_text_is_written() {
    use crate::gguf::tools::{Form, offer};
    use crate::protocol::{ChatMessage, GenerateRequest, Tool, ToolChoice};
    let request = |tool_choice, parallel_tool_calls| GenerateRequest {
        messages: Some(vec![ChatMessage::new("user", "x")]),
        tools: vec![Tool {
            name: "f".to_owned(),
            parameters: Some(
                json!({"type": "object", "required": ["a"], "additionalProperties": false,
                "properties": {"a": {"type": "integer"}}}),
            ),
            ..Tool::default()
        }],
        tool_choice,
        parallel_tool_calls,
        ..GenerateRequest::default()
    };
    let grammar = |request: &GenerateRequest, form| {
        let offer = offer(request, form).unwrap().unwrap();
        offer.formats.first().unwrap().clone()
    };
    let call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>";
    let free = grammar(&request(ToolChoice::Auto, true), Form::Tagged);
    for text in ["", "I would <call> {\"name\": \"f\"}.", call] {
        assert!(takes(&free, text), "{text}");
    }
    assert!(takes(&free, &format!("Let me see.\n{call}\n{call}")));
    assert!(!takes(&free, &format!("{call} and more")));
    assert!(!takes(
        &free,
        "<tool_call>\n{\"name\": \"g\", \"arguments\": {\"a\": 1}}\n</tool_call>"
    ));
    assert!(!takes(
        &free,
        "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"b\": 1}}\n</tool_call>"
    ));
    let must = grammar(&request(ToolChoice::Required, true), Form::Tagged);
    assert!(takes(&must, call) && takes(&must, &format!("{call}{call}")));
    assert!(!takes(&must, "") && !takes(&must, "Hello") && !takes(&must, &format!("{call}Hello")));
    for choice in [
        ToolChoice::Required,
        ToolChoice::Auto,
        ToolChoice::Named("f".to_owned()),
    ] {
        let one = grammar(
            &request(choice.clone(), choice == ToolChoice::Named("f".to_owned())),
            Form::Tagged,
        );
        assert!(takes(&one, call) && !takes(&one, &format!("{call}\n{call}")));
    }
    let bare = grammar(&request(ToolChoice::Auto, true), Form::Bare);
    assert!(takes(&bare, "{\"name\": \"f\", \"parameters\": {\"a\": 1}}"));
    assert!(takes(&bare, "Hello {") && takes(&bare, "{\"names\": 3}"));
    assert!(!takes(&bare, "{\"name\": \"f\", \"parameters\": {}}"));
    let mut told = request(ToolChoice::Auto, true);
    told.format = Some(of_schema(
        json!({"type": "object", "required": ["b"], "properties": {"b": {}}}),
    ));
    let either = grammar(&told, Form::Tagged);
    assert!(takes(&either, call) && takes(&either, "{\"b\": 1}"));
    assert!(!takes(&either, "Hello") && !takes(&either, "{}"));
}

#[test]
fn members_come_in_the_order_of_the_schema() {
    let schema: Value = serde_json::from_str(
        r#"{"type":"object","required":["z","a"],"additionalProperties":false,
            "properties":{"z":{"const":1},"a":{"const":2}}}"#,
    )
    .unwrap();
    assert!(takes(&of_schema(schema.clone()), r#"{"z":1,"a":2}"#));
    assert!(!takes(&of_schema(schema), r#"{"a":2,"z":1}"#));
}

#[test]
fn a_kept_grammar_begins_anew_each_time() {
    let (pieces, ends) = vocabulary();
    let factory = factory(&pieces, &ends).unwrap();
    let format = AnswerFormat::Regex("ab".to_owned());
    let mut kept = VecDeque::new();
    for _ in 0..3 {
        let mut constraint = begin(&factory, &format, &mut kept).unwrap();
        assert!(constraint.allowed().unwrap().get(usize::from(b'a')));
        assert!(!constraint.accept(usize::from(b'a')).unwrap());
        assert!(constraint.accept(usize::from(b'b')).unwrap());
    }
    assert_eq!(kept.len(), 1);
    for number in 0..2 * KEPT {
        begin(&factory, &AnswerFormat::Regex(format!("a{number}")), &mut kept).unwrap();
    }
    assert_eq!(kept.len(), KEPT);
}

#[test]
fn what_cannot_be_followed_is_told_by_its_place_and_with_what_to_do() {
    let inside =
        |part: Value| json!({"type": "object", "required": ["a"], "properties": {"z": {}, "a": part}});
    let either = json!({"oneOf": [{"type": "string"}, {"enum": ["x", 1]}]});
    let far = json!({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/far"}},
        "$defs": {"far": {"type": "array", "items": either}}});
    let counted = json!({"type": "object", "properties": {"b": {}}, "minProperties": 3});
    for (schema, at, words) in [
        (inside(either), "/properties/a/oneOf", "use anyOf"),
        (far, "/$defs/far/items/oneOf", "use anyOf"),
        (
            inside(json!({"type": "integer", "minimum": 1.2, "maximum": 1.8})),
            "/properties/a",
            "no whole number",
        ),
        (
            inside(json!({"type": "number", "minimum": 3, "maximum": 2})),
            "/properties/a",
            "minimum (3) is greater than maximum (2)",
        ),
        (inside(json!(false)), "/properties/a", "it is false"),
        (inside(counted), "/properties/a/minProperties", "in required"),
        (
            inside(json!({"type": "string", "pattern": format!("{}(", "x".repeat(300))})),
            "/properties/a/pattern",
            "unclosed group",
        ),
        (
            inside(json!({"type": "string", "pattern": "a(?=b)c"})),
            "/properties/a/pattern",
            "look",
        ),
    ] {
        let told = begun(&of_schema(schema.clone())).unwrap_err();
        assert!(told.starts_with(&format!("at {at}: ")), "{schema}: {told}");
        assert!(
            told.contains(words) && told.chars().count() < 300,
            "{schema}: {told}"
        );
    }
    let told = begun(&AnswerFormat::Regex(format!("{}(", "x".repeat(300)))).unwrap_err();
    assert!(
        told.contains("unclosed group") && told.chars().count() < 150,
        "{told}"
    );
    for format in schema::FORMATS {
        begun(&of_schema(json!({"type": "string", "format": format}))).unwrap();
    }
}

#[test]
fn bounds_of_numbers_are_held_wherever_they_are_taken() {
    let bounds = [
        -1e9,
        -100.0,
        -2.5,
        -1.0,
        -0.001,
        0.0,
        1e-7,
        0.1,
        0.25,
        0.300_000_000_000_000_04,
        1.0,
        2.75,
        99.5,
        1e6,
        9e15,
    ];
    let holds = |schema: Value| {
        begun(&of_schema(schema.clone())).unwrap_or_else(|told| panic!("{schema}: {told}"));
    };
    for bound in bounds {
        for keyword in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
            holds(json!({"type": "number", keyword: bound}));
            holds(json!({"type": "integer", keyword: bound, "multipleOf": 3}));
        }
    }
    for least in bounds {
        for most in bounds.into_iter().filter(|most| *most > least) {
            for (low, high) in [
                ("minimum", "maximum"),
                ("exclusiveMinimum", "exclusiveMaximum"),
                ("minimum", "exclusiveMaximum"),
            ] {
                holds(json!({"type": "number", low: least, high: most}));
            }
        }
    }
}

#[test]
fn what_no_text_satisfies_is_refused() {
    for schema in [
        json!(false),
        json!({"type": "integer", "minimum": 3, "maximum": 2}),
        json!({"allOf": [{"type": "string"}, {"type": "number"}]}),
        json!({"$ref": "#"}),
        json!({"$ref": "#/$defs/gone"}),
        json!({"type": "string", "format": "no-such-format"}),
        json!({"type": "string", "pattern": "("}),
        json!({"type": "king"}),
    ] {
        assert!(begun(&of_schema(schema.clone())).is_err(), "{schema}");
    }
    assert!(begun(&AnswerFormat::Lark("start: start".to_owned())).is_err());
    assert!(begun(&AnswerFormat::Lark("nothing".to_owned())).is_err());
    assert!(begun(&AnswerFormat::Regex("(".to_owned())).is_err());
}
