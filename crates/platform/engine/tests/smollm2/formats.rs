//! Answers that must be something, and calls of tools.

use corliss_diagnostics::Diagnose;
use corliss_engine::protocol::{AnswerFormat, ChatMessage, FinishReason, Tool, ToolCall, ToolChoice};

use super::{ask, chat, collect, count_on, engine};

#[tokio::test]
#[ignore = "needs a model file; scripts/check --all names one"]
async fn an_answer_with_a_format_is_complete_or_cut_and_nothing_else() {
    let (engine, _dir) = engine(|_| ()).await;
    let mut request = chat("Describe the city of Paris.", 200);
    let schema = serde_json::json!({
        "type": "object", "required": ["city", "people", "sights"], "additionalProperties": false,
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "people": {"type": "integer", "minimum": 0, "maximum": 99_999_999},
            "sights": {"type": "array", "items": {"enum": ["tower", "river"]}, "minItems": 1, "maxItems": 3},
        },
    });
    request.format = Some(AnswerFormat::JsonSchema(schema));
    // Greedy, hot and hotter: what the model would rather say does not matter.
    for (temperature, seed) in [(0.0, None), (1.5, Some(1)), (5.0, Some(2)), (5.0, Some(3))] {
        (request.temperature, request.seed) = (Some(temperature), seed);
        let answer = ask(&engine, &request).await;
        assert_eq!(answer.finish, FinishReason::Stop, "{answer:?}");
        let value: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
        let names: Vec<_> = value.as_object().unwrap().keys().collect();
        assert_eq!(names, ["city", "people", "sights"]);
        assert!(value["people"].is_u64(), "{value}");
        assert!(
            (1..=3).contains(&value["sights"].as_array().unwrap().len()),
            "{value}"
        );
    }
    request.max_tokens = Some(6);
    assert_eq!(ask(&engine, &request).await.finish, FinishReason::Length);

    for (format, fits) in [
        (
            AnswerFormat::Choice(vec!["yes".to_owned(), "no".to_owned()]),
            (|text| text == "yes" || text == "no") as fn(&str) -> bool,
        ),
        (AnswerFormat::Regex("[A-Z][a-z]{2,5}!".to_owned()), |text| {
            text.len() <= 7 && text.ends_with('!')
        }),
        (
            AnswerFormat::Lark("start: \"<\" /[a-z]{1,8}/ \">\"".to_owned()),
            |text| text.starts_with('<') && text.ends_with('>'),
        ),
    ] {
        let mut request = chat("Is water wet?", 60);
        request.format = Some(format);
        // A bias cannot break the promise, and penalties and log-probabilities work beside it.
        (request.repetition_penalty, request.logprobs) = (Some(1.3), Some(2));
        let answer = ask(&engine, &request).await;
        assert!(fits(&answer.text), "{answer:?}");
        assert_eq!(answer.finish, FinishReason::Stop);
        assert_eq!(answer.logprobs.len() as u32, answer.tokens);
    }
}

#[tokio::test]
#[ignore = "needs a model file; scripts/check --all names one"]
async fn a_format_built_to_explode_is_refused_and_nobody_beside_it_notices() {
    let (engine, _dir) = engine(|_| ()).await;
    let counting = {
        let (client, request) = (engine.client.clone(), count_on(300, 200, 0));
        tokio::spawn(async move { collect(client.generate(&request).await.unwrap()).await })
    };
    let string = |pattern: &str| serde_json::json!({"type": "string", "pattern": pattern});
    let json = serde_json::json!({"not": {}});
    let mut nested = serde_json::json!({"type": "integer"});
    for _ in 0..40 {
        nested = serde_json::json!({"type": "array", "items": nested});
    }
    let formats = [
        AnswerFormat::JsonSchema(json),
        AnswerFormat::JsonSchema(nested),
        AnswerFormat::JsonSchema(serde_json::json!({"type": "array", "minItems": 1_000_000_000})),
        AnswerFormat::JsonSchema(string("(a|b)*a(a|b){4000}x{1,5000}")),
        AnswerFormat::Regex("((((a{100}){100}){100}){100}){100}".to_owned()),
        AnswerFormat::Regex("(".to_owned()),
        AnswerFormat::Regex("x".repeat(1 << 20)),
        AnswerFormat::Lark("start: start start".to_owned()),
        AnswerFormat::Choice(vec![]),
    ];
    for format in formats {
        let mut request = chat("x", 8);
        request.format = Some(format);
        match engine.client.generate(&request).await {
            Err(error) => {
                assert_eq!(error.field().as_deref(), Some("format"), "{error}");
                assert_eq!(error.meaning().http_status(), 400);
            }
            // What can be followed after all is answered.
            Ok(mut stream) => while stream.next().await.is_some() {},
        }
    }
    let mut cut = chat("x", 8);
    (cut.format, cut.stop) = (Some(AnswerFormat::JsonObject), vec!["}".to_owned()]);
    assert_eq!(
        engine
            .client
            .generate(&cut)
            .await
            .err()
            .unwrap()
            .field()
            .as_deref(),
        Some("stop")
    );
    assert_eq!(counting.await.unwrap().tokens, 200);
}

#[tokio::test]
#[ignore = "needs a model file; scripts/check --all names one"]
async fn tools_are_called_as_told_and_their_arguments_fit() {
    let (engine, _dir) = engine(|_| ()).await;
    let tool = |name: &str, argument: &str| Tool {
        name: name.to_owned(),
        description: Some(format!("Looks up the {name} of a {argument}.")),
        parameters: Some(serde_json::json!({
            "type": "object", "required": [argument], "additionalProperties": false,
            "properties": {argument: {"type": "string", "maxLength": 20}},
        })),
        strict: true,
    };
    let fits = |(name, arguments): &(String, String)| {
        let value: serde_json::Value = serde_json::from_str(arguments).unwrap();
        let argument = if name == "weather" { "city" } else { "stock" };
        assert!(
            value[argument].is_string() && value.as_object().unwrap().len() == 1,
            "{value}"
        );
    };
    let mut request = chat("What is the weather in Paris?", 200);
    request.tools = vec![tool("weather", "city"), tool("price", "stock")];
    let untold = ask(&engine, &chat("What is the weather in Paris?", 1)).await;
    for (choice, temperature) in [
        (ToolChoice::Required, 0.0),
        (ToolChoice::Required, 3.0),
        (ToolChoice::Named("price".to_owned()), 0.0),
    ] {
        (request.tool_choice, request.temperature) = (choice, Some(temperature));
        let answer = ask(&engine, &request).await;
        assert!(answer.prompt_tokens > untold.prompt_tokens + 50, "{answer:?}");
        assert_eq!(
            (answer.finish, answer.text.as_str()),
            (FinishReason::ToolCalls, ""),
            "{answer:?}"
        );
        assert_eq!(answer.calls.len(), 1, "{answer:?}");
        answer.calls.iter().for_each(fits);
        if let ToolChoice::Named(name) = &request.tool_choice {
            assert_eq!(answer.calls[0].0, *name);
        }
    }
    // Free to choose it writes what it likes, and whatever it calls fits; cut where max_tokens cuts it.
    request.tool_choice = ToolChoice::Auto;
    request.parallel_tool_calls = true;
    for seed in 0..4 {
        (request.temperature, request.seed) = (Some(1.0), Some(seed));
        let answer = ask(&engine, &request).await;
        match answer.finish {
            FinishReason::ToolCalls => answer.calls.iter().for_each(fits),
            FinishReason::Stop => {
                assert!(answer.calls.is_empty() && !answer.text.contains("<tool_call>"))
            }
            FinishReason::Length => {}
        }
    }
    request.tool_choice = ToolChoice::None;
    let answer = ask(&engine, &request).await;
    assert_eq!(
        (answer.prompt_tokens, answer.calls.len()),
        (untold.prompt_tokens, 0)
    );

    // What the tool said goes on into the answer.
    let mut messages = chat("What is the weather in Paris?", 1).messages.unwrap();
    messages.push(ChatMessage {
        tool_calls: vec![ToolCall {
            id: "c1".to_owned(),
            name: "weather".to_owned(),
            arguments: "{\"city\": \"Paris\"}".to_owned(),
        }],
        ..ChatMessage::new("assistant", "")
    });
    messages.push(ChatMessage {
        tool_call_id: Some("c1".to_owned()),
        ..ChatMessage::new("tool", "It is 31 degrees and sunny in Paris.")
    });
    (request.messages, request.temperature) = (Some(messages), Some(0.0));
    let answer = ask(&engine, &request).await;
    assert!(
        answer.text.contains("31") || answer.text.contains("sunny"),
        "{answer:?}"
    );
}
