//! Who goes first, who makes way, who waits, and who is refused.

use corliss_diagnostics::Diagnose;
use corliss_engine::protocol::{FinishReason, GenerateEvent};

use super::{Answer, ask, collect, count_on, engine, stats_until};

/// The numbers of an answer to [`count_on`], without the last, which may be cut.
fn counted(answer: &Answer) -> Vec<u32> {
    let mut numbers: Vec<&str> = answer.text.split(',').map(str::trim).collect();
    numbers.pop();
    numbers.iter().map(|number| number.parse().unwrap()).collect()
}

#[tokio::test]
#[ignore = "needs a model file; scripts/check --all names one"]
async fn who_loses_its_place_goes_on_as_if_nothing_had_happened() {
    // One pool, too small for four answers of this length beside each other.
    let (engine, _dir) = engine(|args| {
        (args.context_tokens, args.kv_tokens, args.max_sequences) = (1024, 1024, 4);
    })
    .await;
    // So far the model is sure of every digit; a little further, at 366, two are as likely as each other.
    let asked = [(100, 320), (300, 320), (500, 320), (700, 320)];
    let running: Vec<_> = asked
        .iter()
        .map(|(first, max_tokens)| {
            let (client, request) = (engine.client.clone(), count_on(*first, *max_tokens, 0));
            tokio::spawn(async move { collect(client.generate(&request).await.unwrap()).await })
        })
        .collect();
    for ((first, max_tokens), answer) in asked.iter().zip(running) {
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.tokens, answer.finish),
            (*max_tokens, FinishReason::Length)
        );
        let numbers = counted(&answer);
        let right: Vec<u32> = (*first..).take(numbers.len()).collect();
        assert!(numbers.len() > 50, "{answer:?}");
        assert_eq!(numbers, right, "nothing is missing, and nothing said twice");
    }
    let stats = stats_until(&engine, |stats| stats.running == 0).await;
    assert!(stats.preemptions_total > 0, "{stats:?}");
    assert_eq!(
        (
            stats.completed_total,
            stats.failed_total,
            stats.kv_tokens_reserved
        ),
        (4, 0, 0)
    );
}

#[tokio::test]
#[ignore = "needs a model file; scripts/check --all names one"]
async fn what_is_urgent_takes_a_place_and_what_is_too_late_ends() {
    let (engine, _dir) = engine(|args| args.max_sequences = 1).await;
    let patient = {
        let mut stream = engine.client.generate(&count_on(300, 200, 0)).await.unwrap();
        stream.next().await.unwrap().unwrap();
        tokio::spawn(collect(stream))
    };
    let mut urgent = count_on(700, 20, 0);
    urgent.priority = -1;
    let mut hopeless = count_on(500, 20, 0);
    hopeless.deadline_ms = Some(1);
    let answer = ask(&engine, &urgent).await;
    assert!(
        !patient.is_finished(),
        "the urgent one did not wait for the patient one"
    );
    assert_eq!(counted(&answer)[..3], [700, 701, 702]);
    let mut stream = engine.client.generate(&hopeless).await.unwrap();
    let mut last = None;
    while let Some(event) = stream.next().await {
        last = Some(event.unwrap());
    }
    let Some(GenerateEvent::Error { error }) = last else {
        panic!("{last:?}");
    };
    assert_eq!(error.code, "request_deadline_exceeded");
    let answer = patient.await.unwrap();
    let numbers = counted(&answer);
    assert_eq!(numbers, (300..).take(numbers.len()).collect::<Vec<u32>>());
    assert_eq!(answer.tokens, 200);
    let stats = stats_until(&engine, |stats| stats.running == 0).await;
    assert_eq!(stats.preemptions_total, 1);
}

#[tokio::test]
#[ignore = "needs a model file; scripts/check --all names one"]
async fn a_long_request_without_room_keeps_nobody_waiting_who_needs_none_of_it() {
    // 512 cells for each sequence, and a pool with room for one of the two long requests.
    let (engine, _dir) = engine(|args| {
        (args.context_tokens, args.kv_tokens, args.max_sequences) = (2048, 4096, 4);
    })
    .await;
    let start = |request| {
        let client = engine.client.clone();
        tokio::spawn(async move { collect(client.generate(&request).await.unwrap()).await })
    };
    let holds = start(count_on(700, 300, 1300));
    stats_until(&engine, |stats| stats.running == 1).await;
    let waits = start(count_on(900, 8, 1300));
    stats_until(&engine, |stats| stats.waiting == 1).await;
    let short = ask(&engine, &count_on(100, 12, 0)).await;
    assert_eq!(counted(&short)[0], 100);
    assert!(
        !holds.is_finished(),
        "the short one waited for a place in the pool"
    );
    assert_eq!(counted(&holds.await.unwrap())[0], 700);
    assert_eq!(counted(&waits.await.unwrap())[0], 900);
}

#[tokio::test]
#[ignore = "needs a model file; scripts/check --all names one"]
async fn answers_to_one_prompt_that_start_together_compute_it_once() {
    let (engine, _dir) = engine(|_| ()).await;
    let request = count_on(900, 8, 800);
    let running: Vec<_> = (0..6)
        .map(|_| {
            let (client, request) = (engine.client.clone(), request.clone());
            tokio::spawn(async move { collect(client.generate(&request).await.unwrap()).await })
        })
        .collect();
    let mut prompt = 0;
    for answer in running {
        let answer = answer.await.unwrap();
        assert_eq!(counted(&answer)[0], 900, "{answer:?}");
        prompt = u64::from(answer.prompt_tokens);
    }
    let stats = stats_until(&engine, |stats| stats.running == 0).await;
    assert!(
        stats.prompt_tokens_total < prompt + 6 * 32,
        "{} tokens computed for six prompts of {prompt}",
        stats.prompt_tokens_total
    );
}

#[tokio::test]
#[ignore = "needs a model file; scripts/check --all names one"]
async fn tokens_that_wait_are_bounded_and_who_is_refused_hears_when_to_come_again() {
    let (engine, _dir) = engine(|args| (args.max_sequences, args.max_waiting_tokens) = (1, 600)).await;
    // Something is measured, and the place is taken.
    ask(&engine, &count_on(100, 16, 0)).await;
    let mut running = engine.client.generate(&count_on(300, 400, 0)).await.unwrap();
    running.next().await.unwrap().unwrap();
    let waiting = engine.client.generate(&count_on(500, 300, 0)).await.unwrap();
    let refused = engine
        .client
        .generate(&count_on(500, 300, 0))
        .await
        .err()
        .unwrap();
    assert_eq!(
        (refused.code(), refused.meaning().http_status()),
        ("engine_queue_full", 429)
    );
    assert!((1..=60).contains(&refused.retry_after_s().unwrap()));
    let stats = engine.client.stats().await.unwrap();
    assert!(
        stats.tokens_per_second > 0 && (300..600).contains(&stats.waiting_tokens),
        "{stats:?}"
    );
    drop((running, waiting));
    assert_eq!(ask(&engine, &count_on(700, 4, 0)).await.tokens, 4);
}
