//! Measures the language model engine alone, without gateway and server: tokens per second at 1, 4, 8, 16 and
//! 32 concurrent clients, on this machine.
//!
//! `cargo run --release -p corliss-engine --example tokens_per_second -- MODEL.gguf [TOKENS [SEQUENCES]]`

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use corliss_engine::client::EngineClient;
use corliss_engine::protocol::{ChatMessage, EngineState, GenerateEvent, GenerateRequest};
use corliss_engine::{EngineArgs, EngineError};
use corliss_types::Flavor;

#[derive(clap::Parser)]
struct Engine {
    #[command(flatten)]
    args: EngineArgs,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "engine") {
        return corliss_engine::process::main(Engine::parse_from(words).args);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(measure(&words)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(words: &[String]) -> Result<(), String> {
    let model = words
        .first()
        .ok_or("usage: tokens_per_second MODEL.gguf [TOKENS]")?;
    let tokens = words
        .get(1)
        .map_or(Ok(128), |text| text.parse())
        .map_err(|_| "TOKENS is a number")?;
    let socket = std::env::temp_dir().join(format!("corliss-measure-{}.sock", std::process::id()));
    let mut args = EngineArgs::new(Flavor::Gguf, model, &socket);
    if let Some(sequences) = words.get(2).and_then(|text| text.parse().ok()) {
        args.max_sequences = sequences;
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut engine = Command::new(program)
        .args(args.to_command())
        .spawn()
        .map_err(|error| error.to_string())?;
    let outcome = run(EngineClient::unix(&socket), tokens).await;
    let _ = engine.kill();
    let _ = engine.wait();
    let _ = std::fs::remove_file(&socket);
    outcome.map_err(|error| error.to_string())
}

async fn run(client: EngineClient, tokens: u32) -> Result<(), EngineError> {
    let started = Instant::now();
    while !client
        .ready()
        .await
        .is_ok_and(|ready| ready.state != EngineState::Loading)
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("ready after {} ms", started.elapsed().as_millis());
    let mut single = 0.0;
    for clients in [1_u32, 4, 8, 16, 32] {
        let started = Instant::now();
        let running: Vec<_> = (0..clients)
            .map(|index| tokio::spawn(one(client.clone(), index, tokens)))
            .collect();
        let mut generated = 0;
        for client in running {
            generated += client.await.map_err(|_| EngineError::Stopped)??;
        }
        let speed = f64::from(generated) / started.elapsed().as_secs_f64();
        if clients == 1 {
            single = speed;
        }
        println!(
            "{clients} clients: {speed:.1} tokens/s in total, {:.2} times one client",
            speed / single
        );
    }
    Ok(())
}

async fn one(client: EngineClient, index: u32, tokens: u32) -> Result<u32, EngineError> {
    let content = format!("Write a long story about a ship with {} sails.", index + 2);
    let request = GenerateRequest {
        messages: Some(vec![ChatMessage::new("user", content)]),
        max_tokens: Some(tokens),
        temperature: Some(0.7),
        seed: Some(u64::from(index)),
        ..GenerateRequest::default()
    };
    let mut stream = client.generate(&request).await?;
    while let Some(event) = stream.next().await {
        if let GenerateEvent::End {
            completion_tokens, ..
        } = event?
        {
            return Ok(completion_tokens);
        }
    }
    Err(EngineError::Stopped)
}
