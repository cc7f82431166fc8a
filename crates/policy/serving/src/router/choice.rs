//! The strategies: each picks one of the candidates, which are replicas that take requests now.
//!
//! Exact minima are affordable where they are asked for, because an endpoint has few replicas and one router
//! sees all its requests. Two at random (P2C) serve where the measure lags behind: whoever looks best in old
//! news would get everything until news comes.

use std::cmp::Reverse;

use super::hash::{mix, two_of};
use super::reason::Reason;
use super::slot::Slot;
use super::strategy::Settings;
use super::{Among, Request, Strategy};

/// One replica that may be picked; the list of them is never empty.
type Candidates<'a> = &'a [usize];

/// Picks by a strategy.
pub(super) fn choose(
    strategy: Strategy,
    slots: &mut [Slot],
    candidates: Candidates<'_>,
    request: &Request<'_>,
    settings: &Settings,
) -> Option<(usize, Reason)> {
    match strategy {
        Strategy::RoundRobin => in_turn(slots, candidates),
        Strategy::Weighted => by_weight(slots, candidates),
        Strategy::LeastConnections => least_connections(slots, candidates),
        Strategy::LeastResponseTime => faster_of_two(slots, candidates, request, settings),
        Strategy::LeastTokens => least_tokens(slots, candidates),
        Strategy::PrefixAware => prefix_aware(slots, candidates, request, settings),
        Strategy::SessionAffinity => match request.session {
            Some(session) => session_affinity(slots, candidates, session, &request.among),
            None => least_connections(slots, candidates),
        },
    }
}

/// Who was picked longest ago. That is a round where all may be picked, and fair too where requests that may go to
/// some only come in between.
fn in_turn(slots: &[Slot], candidates: Candidates<'_>) -> Option<(usize, Reason)> {
    let next = candidates.iter().min_by_key(|index| slots[**index].picked)?;
    Some((*next, Reason::Turn))
}

/// Smooth weighted round robin, as nginx has it: each is owed its weight, the one that is owed most takes the
/// request and pays the sum of all. Over as many requests as that sum each gets exactly its weight, spread out
/// instead of in runs.
fn by_weight(slots: &mut [Slot], candidates: Candidates<'_>) -> Option<(usize, Reason)> {
    let weight = |slot: &Slot| i64::from(slot.profile.weight);
    let total: i64 = candidates.iter().map(|index| weight(&slots[*index])).sum();
    if total == 0 {
        return in_turn(slots, candidates);
    }
    for index in candidates {
        let slot = &mut slots[*index];
        slot.credit = slot.credit.saturating_add(weight(slot));
    }
    let owed_most = candidates
        .iter()
        .filter(|index| slots[**index].profile.weight > 0)
        .max_by(|a, b| {
            let credit = slots[**a].credit.cmp(&slots[**b].credit);
            credit.then_with(|| b.cmp(a))
        })?;
    let slot = &mut slots[*owed_most];
    slot.credit = slot.credit.saturating_sub(total);
    Some((*owed_most, Reason::Weight))
}

/// Among equals they take turns: "the first of the equals" would send everything to one replica whenever the
/// load is low, which is most of the time.
fn least_connections(slots: &[Slot], candidates: Candidates<'_>) -> Option<(usize, Reason)> {
    let least = candidates
        .iter()
        .min_by_key(|index| (slots[**index].in_flight, slots[**index].picked))?;
    let in_flight = slots[*least].in_flight;
    Some((*least, Reason::FewestInFlight { in_flight }))
}

fn least_tokens(slots: &[Slot], candidates: Candidates<'_>) -> Option<(usize, Reason)> {
    let least = candidates.iter().min_by_key(|index| {
        let slot = &slots[**index];
        (slot.tokens, slot.in_flight, slot.picked)
    })?;
    let tokens = slots[*least].tokens;
    Some((*least, Reason::FewestTokens { tokens }))
}

/// P2C with peak EWMA. A replica that has not answered yet is taken for as fast as the fastest that has, so
/// that a new one is tried and not flooded.
fn faster_of_two(
    slots: &[Slot],
    candidates: Candidates<'_>,
    request: &Request<'_>,
    settings: &Settings,
) -> Option<(usize, Reason)> {
    let average = |index: usize| {
        slots[index]
            .latency
            .average_us(request.now, settings.latency_half_life)
    };
    let fastest = candidates.iter().filter_map(|index| average(*index)).min();
    let cost = |index: usize| {
        let us = average(index).or(fastest).unwrap_or(1).max(1);
        us.saturating_mul(slots[index].in_flight.saturating_add(1))
    };
    let (first, second) = two_drawn(candidates, request.random)?;
    if first == second {
        return Some((first, Reason::OnlyOne));
    }
    let faster = if cost(second) < cost(first) { second } else { first };
    let cost_us = cost(faster);
    Some((faster, Reason::FasterOfTwo { cost_us }))
}

/// Affinity only while the imbalance is bounded. On a miss the less busy of two: taking the one with the
/// smallest cache instead sends everything to a replica that has just started, and taking the first of equals
/// leaves the others cold for ever.
fn prefix_aware(
    slots: &[Slot],
    candidates: Candidates<'_>,
    request: &Request<'_>,
    settings: &Settings,
) -> Option<(usize, Reason)> {
    let limits = &settings.prefix;
    let least = candidates.iter().map(|index| slots[*index].tokens).min()?;
    let bound = limits.bound(least);
    let enough = |hit: usize| {
        let share = limits
            .least_hit_percent
            .saturating_mul(request.blocks.len() as u64);
        hit > 0 && (hit as u64).saturating_mul(100) >= share
    };
    let mut longest = 0;
    let mut best = None;
    for (place, index) in candidates.iter().enumerate() {
        let slot = &slots[*index];
        let hit = slot.cached.matched(request.blocks);
        if !enough(hit) {
            continue;
        }
        longest = longest.max(hit);
        // Who waits behind as many tokens as the hit saves loses nothing by it.
        if slot.tokens <= bound.saturating_add(limits.saved(hit)) {
            // Among equals the less busy one, then by luck.
            let luck = mix(request.random ^ place as u64);
            best = best.max(Some((hit, Reverse(slot.tokens), luck, *index)));
        }
    }
    if let Some((hit, _, _, index)) = best {
        let blocks = u32::try_from(hit).unwrap_or(u32::MAX);
        return Some((index, Reason::PrefixHit { blocks }));
    }
    let (first, second) = two_drawn(candidates, request.random)?;
    if first == second {
        return Some((first, Reason::OnlyOne));
    }
    // The order of the two is random, and so is who wins a tie.
    let less_busy = if slots[second].tokens < slots[first].tokens {
        second
    } else {
        first
    };
    let reason = match u32::try_from(longest).unwrap_or(u32::MAX) {
        0 => Reason::PrefixMiss,
        blocks => Reason::ImbalanceBound { blocks },
    };
    Some((less_busy, reason))
}

/// Rendezvous hashing: every replica draws a number for the session, and the highest wins. A new replica
/// takes only the sessions that it wins, about one in n; one that is aside gives each of its sessions to that
/// session's next one, and has them back when it returns.
fn session_affinity(
    slots: &[Slot],
    candidates: Candidates<'_>,
    session: u64,
    among: &Among<'_>,
) -> Option<(usize, Reason)> {
    let drawn = |index: &usize| (mix(session ^ slots[*index].seed), *index);
    let picked = candidates.iter().copied().max_by_key(|index| drawn(index))?;
    let own = (0..slots.len())
        .filter(|index| among.admits(&slots[*index]))
        .max_by_key(drawn)?;
    let reason = if picked == own {
        Reason::AffinityKept
    } else {
        Reason::AffinityMoved
    };
    Some((picked, reason))
}

fn two_drawn(candidates: Candidates<'_>, random: u64) -> Option<(usize, usize)> {
    let (first, second) = two_of(candidates.len(), random);
    Some((*candidates.get(first)?, *candidates.get(second)?))
}
