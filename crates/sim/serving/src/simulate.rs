//! The loop: each request arrives, the router picks, its replica computes.

use std::collections::BTreeMap;

use corliss_policy_serving::router::{
    Profile, Reason, Request, Router, RouterEvent, Settings, Strategy, mix,
};
use corliss_types::{IdSeed, ReplicaId, Timestamp};
use serde::Serialize;

use crate::engine::Engine;
use crate::replica::{Replica, Told};
use crate::report::{Report, Tally};
use crate::trace::{Trace, TraceRequest};
use corliss_sim_trace::SimError;

/// Most replicas.
pub const MAX_REPLICAS: u32 = 1_000;
/// What the router expects of an answer before the first one is complete, in tokens.
const FIRST_GUESS: u64 = 256;

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// By what the router picks.
    pub strategy: Strategy,
    /// What bounds its choice; how many blocks it remembers is what the engine's memory holds.
    pub settings: Settings,
    /// How many replicas, 1 to 1,000.
    pub replicas: u32,
    /// The speed of each replica in percent of the engine's; none means 100 for all. It is also the weight.
    pub speeds: Vec<u32>,
    /// What each replica can do.
    pub engine: Engine,
    /// Requests arrive so many times as fast as they were recorded.
    pub rate: f64,
    /// What the router's random draws are made of.
    pub seed: u64,
    /// What counts as good.
    pub objectives: Objectives,
}

impl Setup {
    /// Eight replicas of the default engine, at the recorded rate.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            settings: Settings::default(),
            replicas: 8,
            speeds: Vec::new(),
            engine: Engine::default(),
            rate: 1.0,
            seed: 0,
            objectives: Objectives::default(),
        }
    }

    fn check(&self) -> Result<(), SimError> {
        if !(1..=MAX_REPLICAS).contains(&self.replicas) {
            return Err(SimError::setup(
                "replicas",
                format!("{} replicas cannot be simulated", self.replicas),
                format!("give 1 to {MAX_REPLICAS}"),
            ));
        }
        if !(0.01..=1000.0).contains(&self.rate) {
            return Err(SimError::setup(
                "rate",
                format!("a rate of {} is out of range", self.rate),
                "give 0.01 to 1000; 2 lets requests arrive twice as fast",
            ));
        }
        if !self.speeds.is_empty() && self.speeds.len() != self.replicas as usize {
            return Err(SimError::setup(
                "speeds",
                format!("{} speeds for {} replicas", self.speeds.len(), self.replicas),
                "give one speed for each replica",
            ));
        }
        if self.speeds.iter().any(|speed| !(1..=10_000).contains(speed)) {
            return Err(SimError::setup(
                "speeds",
                "a speed is out of range",
                "give 0.01 to 100; 1 is the engine's own",
            ));
        }
        self.engine.check()
    }
}

/// What counts as a good answer. The defaults are those of MLPerf Inference for Llama 2 70B in its server
/// scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Objectives {
    /// Longest time to the first token, in milliseconds.
    pub ttft_ms: u64,
    /// Longest time for each token after the first, on average over an answer, in milliseconds.
    pub tpot_ms: u64,
}

impl Default for Objectives {
    fn default() -> Self {
        Self {
            ttft_ms: 2_000,
            tpot_ms: 200,
        }
    }
}

/// What became of one request, in nanoseconds of the virtual clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) replica: usize,
    pub(crate) arrived_ns: u64,
    pub(crate) admitted_ns: u64,
    pub(crate) first_ns: u64,
    pub(crate) finished_ns: u64,
    pub(crate) cached: u32,
    /// Tokens that the router still takes for outstanding.
    charged: u64,
    prompt_charged: u64,
}

/// Lets the requests of a trace arrive at replicas and tells how it went.
///
/// # Errors
/// If the setup cannot be simulated; the error names the field and the fix.
pub fn simulate(trace: &Trace, setup: &Setup) -> Result<Report, SimError> {
    setup.check()?;
    let mut world = World::new(trace, setup);
    for (number, request) in trace.requests().iter().enumerate() {
        world.arrive(number, request);
    }
    world.advance(u64::MAX);
    Ok(Report::of(trace, setup, &world.tally))
}

struct World<'t> {
    trace: &'t Trace,
    setup: &'t Setup,
    ids: Vec<ReplicaId>,
    router: Router,
    replicas: Vec<Replica<'t>>,
    tally: Tally,
    told: Vec<Told>,
    /// Tokens and number of complete answers, from which the next one's length is guessed.
    answers: (u64, u64),
}

impl<'t> World<'t> {
    fn new(trace: &'t Trace, setup: &'t Setup) -> Self {
        let id = |number: u32| {
            ReplicaId::new(IdSeed {
                at: Timestamp::from_millis(i64::from(number)),
                random: [0; 10],
            })
        };
        let ids: Vec<ReplicaId> = (0..setup.replicas).map(id).collect();
        let mut settings = setup.settings;
        if let Some(blocks) = setup
            .engine
            .kv_tokens
            .checked_div(u64::from(trace.block_tokens()))
        {
            settings.prefix.blocks_per_replica = usize::try_from(blocks).unwrap_or(usize::MAX);
        }
        let mut router = Router::with(setup.strategy, settings);
        router.on_event(RouterEvent::Replicas(&ids));
        let mut replicas = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let weight = setup.speeds.get(index).copied().unwrap_or(100);
            router.on_event(RouterEvent::Profile(id, Profile { version: 1, weight }));
            replicas.push(Replica::new(trace, setup.engine.at_speed(weight)));
        }
        Self {
            trace,
            setup,
            ids,
            router,
            replicas,
            tally: Tally {
                outcomes: vec![None; trace.requests().len()],
                reasons: BTreeMap::new(),
            },
            told: Vec::new(),
            answers: (0, 0),
        }
    }

    fn arrive(&mut self, number: usize, request: &TraceRequest) {
        let now_ns = scaled(request.arrival_ns, self.setup.rate);
        self.advance(now_ns);
        let (prompt, output) = (u64::from(request.prompt_tokens), u64::from(request.output_tokens));
        if prompt + output > self.setup.engine.kv_tokens {
            return;
        }
        let blocks = self.trace.full_blocks(request);
        let pick = self.router.pick(&Request {
            // Recorded requests name no session: those that begin alike are taken for one.
            session: Some(mix(blocks.first().map_or(number as u64, |first| *first))),
            blocks,
            random: mix(self.setup.seed ^ mix(number as u64)),
            ..Request::new(moment(now_ns), &[])
        });
        let Some(pick) = pick else { return };
        let Ok(replica) = self.ids.binary_search(&pick.replica) else {
            return;
        };
        let known = match pick.reason {
            Reason::PrefixHit { blocks } => u64::from(blocks) * u64::from(self.trace.block_tokens()),
            _ => 0,
        };
        let prompt_charged = prompt.saturating_sub(known);
        let charged = prompt_charged + self.guess();
        self.router.on_event(RouterEvent::Started(&pick.replica));
        self.router.on_event(RouterEvent::Charged(&pick.replica, charged));
        self.router.on_event(RouterEvent::Cached(&pick.replica, blocks));
        *self.tally.reasons.entry(pick.reason.name()).or_default() += 1;
        self.tally.outcomes[number] = Some(Outcome {
            replica,
            arrived_ns: now_ns,
            charged,
            prompt_charged,
            ..Outcome::default()
        });
        self.replicas[replica].enqueue(number, now_ns);
    }

    /// The mean of the answers so far, which is all that a gateway can know, too.
    fn guess(&self) -> u64 {
        let (tokens, answers) = self.answers;
        tokens.checked_div(answers).unwrap_or(FIRST_GUESS).max(1)
    }

    fn advance(&mut self, until_ns: u64) {
        for index in 0..self.replicas.len() {
            let mut told = std::mem::take(&mut self.told);
            self.replicas[index].advance(until_ns, &mut told);
            for event in told.drain(..) {
                self.note(index, event);
            }
            self.told = told;
        }
    }

    fn note(&mut self, index: usize, told: Told) {
        let id = &self.ids[index];
        let (Told::Admitted { request, .. }
        | Told::First { request, .. }
        | Told::Decoded { request, .. }
        | Told::Finished { request, .. }) = told;
        let Some(Some(outcome)) = self.tally.outcomes.get_mut(request) else {
            return;
        };
        let settled = match told {
            Told::Admitted { at_ns, cached, .. } => {
                (outcome.admitted_ns, outcome.cached) = (at_ns, cached);
                0
            }
            Told::First { at_ns, .. } => {
                outcome.first_ns = at_ns;
                let latency_us = (at_ns - outcome.arrived_ns) / 1_000;
                self.router.on_event(RouterEvent::Answered(id));
                self.router
                    .on_event(RouterEvent::Measured(id, latency_us, moment(at_ns)));
                outcome.prompt_charged + 1
            }
            Told::Decoded { tokens, .. } => tokens,
            Told::Finished { at_ns, .. } => {
                outcome.finished_ns = at_ns;
                let output = self.trace.requests()[request].output_tokens;
                self.answers = (self.answers.0 + u64::from(output), self.answers.1 + 1);
                self.router.on_event(RouterEvent::Finished(id));
                outcome.charged
            }
        };
        let settled = settled.min(outcome.charged);
        outcome.charged -= settled;
        self.router.on_event(RouterEvent::Settled(id, settled));
    }
}

fn moment(at_ns: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(at_ns / 1_000_000).unwrap_or(i64::MAX))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times of a trace are at most a year, and rates are in range"
)]
fn scaled(arrival_ns: u64, rate: f64) -> u64 {
    (arrival_ns as f64 / rate).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_is_told_of_every_token_once() {
        let mut trace = Trace::new(16);
        for request in 0..200_u64 {
            let blocks: Vec<u64> = (0..request % 7).collect();
            let output = 1 + u32::try_from(request * 37 % 600).unwrap();
            trace.push(request * 30_000_000, 400, output, &blocks);
        }
        for strategy in Strategy::ALL {
            let setup = Setup {
                replicas: 2,
                ..Setup::new(strategy)
            };
            let mut world = World::new(&trace, &setup);
            for (number, request) in trace.requests().iter().enumerate() {
                world.arrive(number, request);
                let mut outstanding = [0, 0];
                for outcome in world.tally.outcomes.iter().flatten() {
                    outstanding[outcome.replica] += outcome.charged;
                }
                let told = world.router.tokens();
                assert_eq!([told[0].1, told[1].1], outstanding, "{strategy}");
            }
            world.advance(u64::MAX);
            assert!(world.router.tokens().iter().all(|(_, tokens)| *tokens == 0));
            assert!(
                world
                    .router
                    .in_flight()
                    .iter()
                    .all(|(_, requests)| *requests == 0)
            );
        }
    }
}
