//! What is counted of a job, and when.

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600_000;
/// Monday, 2 November 2026, 00:00 UTC.
const MONDAY: i64 = 1_793_577_600_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn query(from: i64, to: i64, per: Option<Period>) -> UsageQuery {
    UsageQuery {
        from: at(from),
        to: at(to),
        by: BTreeSet::from([UsageBy::User]),
        per,
    }
}

/// Submitted at `created`, two CPUs, 4 GiB and an accelerator from an hour later on.
fn account(created: i64, hours: i64) -> Account {
    Account {
        user: "ada".to_owned(),
        project: "digits".to_owned(),
        queue: "default".to_owned(),
        kind: JobKind::Batch,
        held: Resources {
            cpu_milli: 2_000,
            memory_bytes: 4 << 30,
            accelerators: 1,
        },
        created: at(created),
        admitted: Some(at(created + HOUR)),
        ended: Some(at(created + HOUR + hours * HOUR)),
        saved: None,
        class: None,
        cpu_time_ms: 0,
    }
}

fn usage(query: UsageQuery, now: i64, accounts: &[Account]) -> Usage {
    query.check().unwrap();
    let mut ledger = Ledger::new(query, at(now));
    accounts.iter().for_each(|account| ledger.add(account));
    ledger.close()
}

fn is(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
}

#[test]
fn what_was_held_is_counted_within_the_time_asked_for() {
    let ran = Account {
        cpu_time_ms: 6 * 3_600_000,
        ..account(MONDAY - 2 * HOUR, 4)
    };
    // Held from an hour before Monday to three hours into it.
    let told = usage(
        query(MONDAY, MONDAY + 24 * HOUR, None),
        MONDAY + 48 * HOUR,
        &[ran],
    )
    .total;
    assert_eq!(told.jobs, 1);
    is(told.waited_hours, 0.0);
    is(told.allocated.cpu, 6.0);
    is(told.allocated.memory_gib, 12.0);
    is(told.allocated.accelerator, 3.0);
    is(told.used_cpu_hours, 4.5);
}

#[test]
fn an_attempt_loses_what_it_did_after_its_last_checkpoint() {
    let lost = |class, kind, saved: Option<i64>| {
        let account = Account {
            class: Some(class),
            kind,
            saved: saved.map(at),
            ..account(MONDAY, 4)
        };
        let told = usage(
            query(MONDAY, MONDAY + 24 * HOUR, None),
            MONDAY + 48 * HOUR,
            &[account],
        )
        .total;
        is(told.allocated.accelerator, 4.0);
        (told.failed.accelerator, told.preempted.accelerator)
    };
    let (user, preempted) = (ExitClass::User, ExitClass::Preempted);
    assert_eq!(lost(user, JobKind::Batch, None), (4.0, 0.0));
    assert_eq!(lost(ExitClass::Infrastructure, JobKind::Batch, None), (4.0, 0.0));
    assert_eq!(lost(preempted, JobKind::Batch, None), (0.0, 4.0));
    assert_eq!(
        lost(preempted, JobKind::Batch, Some(MONDAY + 4 * HOUR)),
        (0.0, 1.0)
    );
    // Left by the attempt before it.
    assert_eq!(lost(user, JobKind::Batch, Some(MONDAY - HOUR)), (4.0, 0.0));
    assert_eq!(lost(user, JobKind::Service, None), (0.0, 0.0));
}

#[test]
fn what_waits_or_runs_counts_until_now() {
    let waits = Account {
        admitted: None,
        ended: None,
        ..account(MONDAY, 0)
    };
    let runs = Account {
        ended: None,
        ..account(MONDAY, 0)
    };
    let told = usage(
        query(MONDAY, MONDAY + 24 * HOUR, None),
        MONDAY + 5 * HOUR,
        &[waits, runs],
    )
    .total;
    assert_eq!(told.jobs, 2);
    is(told.waited_hours, 6.0);
    is(told.allocated.cpu, 8.0);
}

#[test]
fn periods_are_those_of_the_calendar() {
    // From Saturday, 31 October, 23:00 to Tuesday, 3 November, 01:00.
    let (from, to) = (MONDAY - 25 * HOUR, MONDAY + 25 * HOUR);
    let starts = |per| query(from, to, Some(per)).periods(from, to).collect::<Vec<_>>();
    let day = 24 * HOUR;
    let first = MONDAY - day;
    assert_eq!(
        starts(Period::Day),
        [
            (from, first),
            (first, MONDAY),
            (MONDAY, MONDAY + day),
            (MONDAY + day, to)
        ]
    );
    assert_eq!(starts(Period::Week), [(from, MONDAY), (MONDAY, to)]);
    assert_eq!(starts(Period::Month), [(from, first), (first, to)]);
    assert_eq!(starts(Period::Hour).len(), 50);
    assert_eq!(Period::Month.start_of(MONDAY), first);
    assert_eq!(Period::Month.end_of(first), first + 30 * day);
    // December ends with its year.
    assert_eq!(Period::Month.end_of(first + 30 * day), first + 61 * day);
}

#[test]
fn a_time_that_is_none_or_has_too_many_parts_is_refused() {
    let refused = |query: UsageQuery| match query.check() {
        Err(JobsError::InvalidUsage { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(query(5, 5, None)), "from_ms");
    assert_eq!(refused(query(-1, 5, None)), "from_ms");
    assert_eq!(refused(query(0, i64::MAX, None)), "to_ms");
    assert_eq!(refused(query(0, 1_001 * HOUR, Some(Period::Hour))), "per");
    assert!(query(0, 1_000 * HOUR, Some(Period::Hour)).check().is_ok());
}

proptest! {
    /// However a time is told, the parts are the whole.
    #[test]
    fn parts_add_up(
        jobs in proptest::collection::vec((0_i64..200, 0_i64..60, 0_u8..3, 0_usize..3), 0..12),
        from in 0_i64..100, long in 1_i64..150, per in 0_usize..4,
    ) {
        let accounts: Vec<Account> = jobs.iter().map(|(created, hours, class, user)| Account {
            user: ["ada", "bea", ""][*user].to_owned(),
            class: [None, Some(ExitClass::User), Some(ExitClass::Preempted)][usize::from(*class)],
            cpu_time_ms: 1_000_000,
            ..account(MONDAY + created * HOUR / 2, *hours)
        }).collect();
        let per = [Period::Hour, Period::Day, Period::Week, Period::Month][per];
        let (from, to) = (MONDAY + from * HOUR / 3, MONDAY + (from + long) * HOUR / 3 + 1);
        let told = usage(query(from, to, Some(per)), MONDAY + 300 * HOUR, &accounts);
        let sum = |of: fn(&Consumption) -> f64| told.items.iter().map(|item| of(&item.consumption)).sum::<f64>();
        for of in [
            (|c: &Consumption| c.waited_hours) as fn(&Consumption) -> f64,
            |c| c.allocated.cpu, |c| c.allocated.memory_gib, |c| c.allocated.accelerator,
            |c| c.failed.cpu, |c| c.preempted.accelerator, |c| c.used_cpu_hours,
        ] {
            prop_assert!((sum(of) - of(&told.total)).abs() < 1e-6);
        }
        prop_assert!(told.total.failed.cpu + told.total.preempted.cpu <= told.total.allocated.cpu + 1e-9);
        for pair in told.items.windows(2) {
            prop_assert!((pair[0].from_ms, &pair[0].user) < (pair[1].from_ms, &pair[1].user));
        }
    }
}
