//! Metrics under the names that dashboards and scalers know: `vllm:` for language models, `nv_inference_` for models of
//! tensors. What engines count has the replica as a label, so that a replica that goes takes nothing from a sum.
//!
//! Names: vLLM's "Production Metrics" (V1), Triton's "Metrics" guide.

use corliss_engine::client::EngineClient;
use corliss_engine::protocol::{Stats, TOKEN_GAP_BOUNDS_US, TokenGaps};
use corliss_policy_serving::release::Spread;
use corliss_types::{Flavor, ReplicaId};
use futures_util::future::join_all;

use crate::ports::Serves;
use crate::service::Gateway;
use crate::service::endpoint::Endpoint;
use crate::service::exposition::{Exposition, Labels};
use crate::service::stats::Counters;
use crate::service::versions::VersionCounters;

impl Gateway {
    /// All of them, in Prometheus' text format. A replica that does not answer is left out of this reading.
    pub(crate) async fn metrics(&self) -> String {
        let endpoints = self.endpoints();
        let mut asked = Vec::new();
        for endpoint in &endpoints {
            for (replica, client) in endpoint.engines() {
                asked.push(read(endpoint, replica, client));
            }
        }
        let mut exposition = Exposition::default();
        for (endpoint, replica, stats) in join_all(asked).await.into_iter().flatten() {
            match endpoint.serves() {
                Serves::Engine(Flavor::Gguf) => language(&mut exposition, endpoint.name(), &replica, &stats),
                _ => tensors(&mut exposition, endpoint, &replica, &stats),
            }
        }
        for endpoint in &endpoints {
            if endpoint.speaks() {
                requests(&mut exposition, endpoint.name(), &endpoint.counters);
            }
            for (version, counters) in endpoint.versions.all() {
                versions(&mut exposition, endpoint.name(), version, &counters);
            }
        }
        if let Some(spans) = self.spans() {
            let (sent, dropped) = spans.counts();
            for (name, help, count) in [
                ("corliss_spans_sent_total", "Spans that the collector took.", sent),
                (
                    "corliss_spans_dropped_total",
                    "Spans that did not fit the queue, or that the collector did not take.",
                    dropped,
                ),
            ] {
                exposition.counter(name, help, &[], count);
            }
        }
        exposition.text()
    }
}

async fn read(
    endpoint: &Endpoint,
    replica: ReplicaId,
    client: EngineClient,
) -> Option<(&Endpoint, ReplicaId, Stats)> {
    Some((endpoint, replica, client.stats().await.ok()?))
}

fn language(to: &mut Exposition, model: &str, replica: &ReplicaId, stats: &Stats) {
    let labels = [("model_name", model), ("engine", replica.as_str())];
    to.gauge(
        "vllm:num_requests_running",
        "Requests in the batches of an engine.",
        &labels,
        stats.running,
    );
    to.gauge(
        "vllm:num_requests_waiting",
        "Requests that wait for a place.",
        &labels,
        stats.waiting,
    );
    to.gauge(
        "vllm:kv_cache_usage_perc",
        "Share of the KV cache that is promised to requests, 1 is all.",
        &labels,
        share(stats.kv_tokens_reserved, stats.kv_tokens_total),
    );
    for (name, help, value) in [
        (
            "vllm:prefix_cache_queries_total",
            "Prompt tokens that were looked up in the prefix cache.",
            stats.admitted_prompt_tokens_total,
        ),
        (
            "vllm:prefix_cache_hits_total",
            "Prompt tokens that were found there.",
            stats.cached_prompt_tokens_total,
        ),
        (
            "vllm:num_preemptions_total",
            "Requests that lost their place and were computed again.",
            stats.preemptions_total,
        ),
    ] {
        to.counter(name, help, &labels, value);
    }
    token_gaps(to, &labels, &stats.token_gaps);
}

fn token_gaps(to: &mut Exposition, labels: &Labels<'_>, gaps: &TokenGaps) {
    let bounds: Vec<f64> = TOKEN_GAP_BOUNDS_US.iter().map(|bound| seconds(*bound)).collect();
    let mut counts = gaps.counts.clone();
    counts.resize(bounds.len() + 1, 0);
    to.histogram(
        "vllm:inter_token_latency_seconds",
        "From one token of an answer to the next.",
        labels,
        &bounds,
        &counts,
        seconds(gaps.us_sum),
    );
}

fn requests(to: &mut Exposition, model: &str, counters: &Counters) {
    let labels = [("model_name", model)];
    let (prompts, answers) = counters.tokens();
    to.counter("vllm:prompt_tokens_total", "Tokens of prompts.", &labels, prompts);
    to.counter(
        "vllm:generation_tokens_total",
        "Tokens of answers.",
        &labels,
        answers,
    );
    for (reason, count) in counters.finished() {
        let labels = [("model_name", model), ("finished_reason", reason)];
        to.counter(
            "vllm:request_success_total",
            "Requests that were answered.",
            &labels,
            count,
        );
    }
    for (name, help, histogram) in [
        (
            "vllm:time_to_first_token_seconds",
            "From a request to the first token of its answer.",
            &counters.first_token,
        ),
        (
            "vllm:e2e_request_latency_seconds",
            "From a request to its end, however it ended.",
            &counters.latency,
        ),
        (
            "vllm:request_queue_time_seconds",
            "Waiting for a place in an engine.",
            &counters.queue,
        ),
        (
            "vllm:request_prefill_time_seconds",
            "From a place to the first token.",
            &counters.prefill,
        ),
        (
            "vllm:request_decode_time_seconds",
            "From the first token to the last.",
            &counters.decode,
        ),
        (
            "vllm:request_prompt_tokens",
            "Tokens of a prompt.",
            &counters.prompt_length,
        ),
        (
            "vllm:request_generation_tokens",
            "Tokens of an answer.",
            &counters.answer_length,
        ),
    ] {
        let (bounds, counts, sum) = histogram.read();
        to.histogram(name, help, &labels, &bounds, &counts, sum);
    }
}

/// What releases are judged by, under names of our own.
fn versions(to: &mut Exposition, model: &str, version: u32, counters: &VersionCounters) {
    let version = version.to_string();
    let labels = [("model_name", model), ("version", version.as_str())];
    let done = counters.read();
    for (name, help, value) in [
        (
            "corliss_version_requests_total",
            "Requests that a version ended, copies included.",
            done.counts.requests,
        ),
        (
            "corliss_version_errors_total",
            "Of these, how many got no answer.",
            done.counts.errors,
        ),
        (
            "corliss_version_generation_tokens_total",
            "Tokens of its answers.",
            done.completion_tokens,
        ),
    ] {
        to.counter(name, help, &labels, value);
    }
    let (latency_us, first_us) = counters.sums_us();
    for (name, help, spread, sum_us) in [
        (
            "corliss_version_latency_seconds",
            "From a request to its end.",
            &done.counts.latency,
            latency_us,
        ),
        (
            "corliss_version_first_token_seconds",
            "From a request to the first of its answer.",
            &done.counts.first_token,
            first_us,
        ),
    ] {
        let (bounds, counts) = coarse(spread);
        to.histogram(name, help, &labels, &bounds, &counts, seconds(sum_us));
    }
}

/// By doublings, from half a millisecond to a minute.
fn coarse(spread: &Spread) -> (Vec<f64>, Vec<u64>) {
    let bounds: Vec<u64> = (9..=26).map(|doubling| (1 << doubling) - 1).collect();
    let mut before = 0;
    let mut counts: Vec<u64> = bounds
        .iter()
        .map(|bound| {
            let within = spread.within(*bound);
            within - std::mem::replace(&mut before, within)
        })
        .collect();
    counts.push(spread.count() - before);
    (bounds.iter().map(|bound| seconds(bound + 1)).collect(), counts)
}

#[allow(clippy::cast_precision_loss, reason = "a time, for people")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1_000_000.0
}

fn tensors(to: &mut Exposition, endpoint: &Endpoint, replica: &ReplicaId, stats: &Stats) {
    let version = endpoint
        .version_of(replica)
        .unwrap_or_else(|| endpoint.version())
        .to_string();
    let labels = [
        ("model", endpoint.name()),
        ("version", version.as_str()),
        ("replica", replica.as_str()),
    ];
    let done = &stats.inference;
    let micros = |ns: u64| ns / 1_000;
    for (name, help, value) in [
        (
            "nv_inference_request_success",
            "Requests that were answered.",
            done.success.count,
        ),
        (
            "nv_inference_request_failure",
            "Requests that failed.",
            done.fail.count,
        ),
        ("nv_inference_count", "Rows computed.", done.inferences),
        ("nv_inference_exec_count", "Runs of the model.", done.executions),
        (
            "nv_inference_request_duration_us",
            "Time of the requests that were answered.",
            micros(done.success.ns),
        ),
        (
            "nv_inference_queue_duration_us",
            "Of it, waiting.",
            micros(done.queue.ns),
        ),
        (
            "nv_inference_compute_input_duration_us",
            "Of it, putting inputs together.",
            micros(done.compute.input.ns),
        ),
        (
            "nv_inference_compute_infer_duration_us",
            "Of it, running the model.",
            micros(done.compute.infer.ns),
        ),
        (
            "nv_inference_compute_output_duration_us",
            "Of it, taking outputs apart.",
            micros(done.compute.output.ns),
        ),
    ] {
        to.counter(name, help, &labels, value);
    }
    for (reason, count) in &stats.batch_closed {
        let labels = [
            ("model", endpoint.name()),
            ("version", version.as_str()),
            ("replica", replica.as_str()),
            ("reason", reason.as_str()),
        ];
        to.counter(
            "corliss_inference_batch_closed_total",
            "Batches, by why each was closed.",
            &labels,
            *count,
        );
    }
    to.gauge(
        "nv_inference_pending_request_count",
        "Requests that wait for a run.",
        &labels,
        stats.waiting,
    );
}

#[allow(clippy::cast_precision_loss, reason = "a share, for people")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}
