//! What each policy prefers, on nodes small enough to see why.

use std::collections::BTreeSet;

use super::*;
use crate::nodes::{Share, WHOLE};

fn node(cpu_milli: i64, accelerators: &[i16]) -> Node {
    Node {
        model: 0,
        cpu_milli,
        memory: 100,
        accelerators: accelerators.to_vec(),
        is_spot: false,
    }
}

fn ask(share: Share) -> Ask {
    Ask {
        cpu_milli: 1_000,
        memory: 1,
        share,
        models: BTreeSet::new(),
        avoids_spot: false,
    }
}

fn cluster(policy: Placement, nodes: Vec<Node>, mix: Mix) -> Cluster {
    Cluster::new(policy, nodes.into_iter().map(Seat::of), mix)
}

fn chosen(policy: Placement, nodes: &[Node], ask: &Ask, mix: &[Ask]) -> Option<Spot> {
    cluster(policy, nodes.to_vec(), Mix::of(mix, 100)).place_one(ask, 1)
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
    let cluster = cluster(
        Placement::Fgd,
        vec![node(9_000, &[WHOLE, 400]), node(500, &[WHOLE])],
        mix,
    );
    // On the first node 400 are too few for both; on the second there are too few CPUs for anything.
    assert_eq!(cluster.fragments_milli(), 400 + 1_000);
}

#[test]
fn like_goes_to_like() {
    let nodes = vec![node(64_000, &[WHOLE; 4]); 3];
    let mut cluster = cluster(Placement::Clustering, nodes, Mix::default());
    let place = |cluster: &mut Cluster, share| cluster.place_one(&ask(share), 0).unwrap().node;
    assert_eq!(place(&mut cluster, Share::Whole(1)), 0);
    assert_eq!(place(&mut cluster, Share::Whole(2)), 1);
    assert_eq!(place(&mut cluster, Share::Whole(1)), 0);
    assert_eq!(place(&mut cluster, Share::Whole(2)), 1);
    assert_eq!(place(&mut cluster, Share::Part(5)), 2);
}
