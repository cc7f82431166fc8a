//! Quotas that are lent, borrowed and given back; caps of users.

use super::*;

const CPU: Dimension = Dimension::Cpu;

fn queue(name: &str, parent: Option<&str>, nominal: i64, borrows: Option<i64>, lends: Option<i64>) -> Queue {
    let quota = Quota {
        dimension: CPU,
        nominal,
        borrows,
        lends,
    };
    Queue {
        parent: parent.map(str::to_owned),
        quotas: vec![quota],
        ..Queue::named(name)
    }
}

fn cpus(cpu_milli: i64) -> Demand {
    Demand {
        cpu_milli,
        ..Demand::default()
    }
}

const INSTANT: Decay = Decay {
    half_life_ms: None,
    ahead_ms: 0,
    since_ms: 0,
};

fn uses(queues: &mut Queues, name: &str, user: &str, amount: i64) {
    let index = queues.index(name).unwrap();
    queues.begin(index, user, &cpus(amount), 1, &INSTANT, 0);
}

fn more(queues: &Queues, name: &str) -> i64 {
    queues.available(queues.index(name).unwrap(), CPU, true)
}

#[test]
fn what_others_leave_is_borrowed_up_to_the_limits() {
    let mut queues = Queues::new([
        queue("all", None, 0, None, None),
        queue("a", Some("all"), 10, None, Some(4)),
        queue("b", Some("all"), 10, Some(5), None),
        queue("c", Some("all"), 0, None, None),
    ]);
    // Of a's 10 others may use 4; of b's all.
    assert_eq!(
        [more(&queues, "a"), more(&queues, "b"), more(&queues, "c")],
        [20, 14, 14]
    );
    uses(&mut queues, "b", "x", 12);
    let b = queues.index("b").unwrap();
    assert!(queues.borrows(b, &cpus(1)));
    assert_eq!(
        [more(&queues, "a"), more(&queues, "b"), more(&queues, "c")],
        [8, 2, 2]
    );
    // What a keeps for itself is there whatever the others do.
    uses(&mut queues, "c", "x", 2);
    assert_eq!(
        [more(&queues, "a"), more(&queues, "b"), more(&queues, "c")],
        [6, 0, 0]
    );
    let a = queues.index("a").unwrap();
    assert!(queues.stays_within(a, &cpus(10)) && !queues.stays_within(a, &cpus(11)));
    assert!(matches!(
        queues.refuses(a, Some("x"), &cpus(7)),
        Some(OverQuota::Queue {
            available: 6,
            wanted: 7,
            quota: 10,
            ..
        })
    ));
    assert_eq!(queues.refuses(a, None, &cpus(20)), None);
    assert!(queues.refuses(a, None, &cpus(21)).is_some());
    queues.end(b, "x", &cpus(12), 1, &INSTANT, 0);
    assert_eq!(
        [more(&queues, "a"), more(&queues, "b"), more(&queues, "c")],
        [18, 12, 12]
    );
}

#[test]
fn where_nobody_has_a_quota_there_is_no_limit() {
    let queues = Queues::new([Queue::named("free"), queue("held", None, 1, None, None)]);
    assert_eq!([more(&queues, "free"), more(&queues, "held")], [i64::MAX, 1]);
}

#[test]
fn users_have_caps_in_a_queue_and_all_below_it() {
    let above = Queue {
        per_user: vec![Cap {
            dimension: CPU,
            most: 3,
        }],
        ..Queue::named("above")
    };
    let below = Queue {
        parent: Some("above".to_owned()),
        ..Queue::named("below")
    };
    let mut queues = Queues::new([above, below]);
    uses(&mut queues, "below", "ann", 2);
    let below = queues.index("below").unwrap();
    assert!(matches!(
        queues.refuses(below, Some("ann"), &cpus(2)),
        Some(OverQuota::User {
            wanted: 4,
            most: 3,
            ..
        })
    ));
    assert_eq!(queues.refuses(below, Some("ann"), &cpus(1)), None);
    assert_eq!(queues.refuses(below, Some("bob"), &cpus(3)), None);
}

#[test]
fn queues_that_are_above_themselves_are_not() {
    let loops = |name: &str, parent: &str| Queue {
        parent: Some(parent.to_owned()),
        ..Queue::named(name)
    };
    let queues = Queues::new([
        loops("a", "b"),
        loops("b", "a"),
        loops("c", "c"),
        loops("d", "nobody"),
    ]);
    let roots: Vec<_> = queues
        .children(None)
        .iter()
        .filter_map(|index| queues.spec(*index))
        .collect();
    assert_eq!(
        roots.iter().map(|queue| queue.name.as_str()).collect::<Vec<_>>(),
        ["b", "c", "d"]
    );
}
