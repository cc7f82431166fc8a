//! What each policy prefers, on nodes small enough to see why.

use std::collections::BTreeSet;

use super::*;
use crate::nodes::{Share, WHOLE};

fn node(cpu_milli: u64, accelerators: &[u16]) -> Node {
    Node {
        model: 0,
        cpu_milli,
        memory: 100,
        accelerators: accelerators.to_vec(),
    }
}

fn ask(share: Share) -> Ask {
    Ask {
        cpu_milli: 1_000,
        memory: 1,
        share,
        models: BTreeSet::new(),
    }
}

fn chosen(policy: Placement, nodes: &[Node], ask: &Ask, mix: &[Ask]) -> Option<Spot> {
    Placer::new(policy, nodes.to_vec(), Mix::of(mix, 100)).place(ask, 1)
}

#[test]
fn nothing_is_put_where_it_does_not_fit() {
    let nodes = [node(500, &[WHOLE]), node(64_000, &[999, 600])];
    for policy in Placement::ALL {
        let mix = [ask(Share::Whole(1))];
        let place = |share| chosen(policy, &nodes, &ask(share), &mix);
        assert_eq!(place(Share::Whole(1)), None, "{policy}");
        assert_eq!(place(Share::Part(600)).unwrap().node, 1, "{policy}");
        assert!(place(Share::None).unwrap().accelerators.is_empty());
        let other = Ask {
            models: BTreeSet::from([7]),
            ..ask(Share::Part(1))
        };
        assert_eq!(chosen(policy, &nodes, &other, &mix), None, "{policy}");
    }
}

#[test]
fn each_policy_has_its_own_taste() {
    let nodes = [
        node(64_000, &[WHOLE, WHOLE]),
        node(2_000, &[WHOLE, 300]),
        node(64_000, &[WHOLE, 400]),
    ];
    let node_of = |policy| chosen(policy, &nodes, &ask(Share::Part(300)), &[ask(Share::Whole(2))]).unwrap();
    assert_eq!(node_of(Placement::FirstFit).node, 0);
    assert_eq!(node_of(Placement::BestFit).node, 1);
    assert_eq!(node_of(Placement::DotProduct).node, 1);
    let packed = node_of(Placement::Packing);
    assert_eq!((packed.node, packed.accelerators), (1, vec![1]));
    // Two whole ones are usual: the node that has them is spared, and what is of no use already is used.
    assert_ne!(node_of(Placement::Fgd).node, 0);
}

#[test]
fn fragmentation_is_what_usual_asks_cannot_use() {
    let mix = Mix::of(&[ask(Share::Whole(1)), ask(Share::Part(500))], 100);
    let mut placer = Placer::new(
        Placement::Fgd,
        vec![node(9_000, &[WHOLE, 400]), node(500, &[WHOLE])],
        mix,
    );
    // On the first node 400 are too few for both; on the second there are too few CPUs for anything.
    assert_eq!(placer.fragments_milli(), 400 + 1_000);
}

#[test]
fn like_goes_to_like() {
    let nodes = vec![node(64_000, &[WHOLE; 4]); 3];
    let mut placer = Placer::new(Placement::Clustering, nodes, Mix::default());
    let place = |placer: &mut Placer, share| placer.place(&ask(share), 0).unwrap().node;
    assert_eq!(place(&mut placer, Share::Whole(1)), 0);
    assert_eq!(place(&mut placer, Share::Whole(2)), 1);
    assert_eq!(place(&mut placer, Share::Whole(1)), 0);
    assert_eq!(place(&mut placer, Share::Whole(2)), 1);
    assert_eq!(place(&mut placer, Share::Part(5)), 2);
}

#[test]
fn gangs_are_kept_together() {
    let mut idle = [8, 3, 8, 8];
    assert_eq!(consolidated(&mut idle, 8, 2), Some(vec![(0, 2)]));
    assert_eq!(consolidated(&mut idle, 8, 16), Some(vec![(2, 8), (3, 8)]));
    assert_eq!(idle, [6, 3, 0, 0]);
    assert_eq!(consolidated(&mut idle, 8, 7), None);
    assert_eq!(consolidated(&mut idle, 8, 11), None);
    assert_eq!(idle, [6, 3, 0, 0], "what does not fit whole takes nothing");
    let mut idle = [8, 3];
    assert_eq!(consolidated(&mut idle, 8, 11), Some(vec![(0, 8), (1, 3)]));
}
