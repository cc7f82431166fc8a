//! Results that others published, from the traces that they published with them. Without the traces there is nothing to
//! compare, and the tests say so.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use corliss_policy_scheduling::order::Order;
use corliss_policy_scheduling::place::Placement;
use corliss_sim_cluster::trace::{muri, openb};
use corliss_sim_cluster::{Fill, Replay, fill, replay};

/// The text of a trace, if there are traces.
fn trace(name: &str) -> Option<String> {
    let folder = std::env::var_os("CORLISS_TRACES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/traces"),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(folder.join(name));
    if text.is_err() {
        eprintln!(
            "skipped: {name} is not in {}; CORLISS_TRACES names the folder of traces",
            folder.display()
        );
    }
    text.ok()
}

/// Average job completion times in seconds, as Muri's artifact (SIGCOMM 2022) publishes them for its simulator, and how far
/// from them is near.
const MURI: [(&str, Order, f64, f64); 8] = [
    ("muri/trace1.csv", Order::Srtf, 1_370_603.0, 1.0),
    ("muri/trace2.csv", Order::Srtf, 2_665_607.0, 10.0),
    ("muri/trace3.csv", Order::Srtf, 193_082.0, 1.0),
    ("muri/trace4.csv", Order::Srtf, 581_983.0, 1.0),
    ("muri/trace1.csv", Order::Srsf, 980_141.0, 1.0),
    ("muri/trace2.csv", Order::Srsf, 2_213_950.0, 1.0),
    ("muri/trace3.csv", Order::Srsf, 185_022.0, 1.0),
    ("muri/trace4.csv", Order::Srsf, 487_167.0, 1.0),
];

#[test]
fn completion_times_are_those_that_muri_published() {
    let Some(cluster) = trace("muri/n8g8.csv") else {
        return;
    };
    let cluster = muri::cluster(&cluster).unwrap();
    for (name, order, published, near) in MURI {
        let jobs = muri::jobs(&trace(name).unwrap()).unwrap();
        let setup = Replay {
            order,
            cluster,
            start_at_every_event: true,
        };
        let replayed = replay(&jobs, &setup).unwrap();
        let mean = replayed.jct_s.mean;
        println!("{name} {order} {mean:.1} published {published}");
        assert!(
            (mean - published).abs() <= near,
            "{name} {order}: {mean}, published {published}"
        );
    }
}

const SEEDS: u32 = 4;

/// The order of the policies in the figure of FGD (ATC 2023) at 130 % of arrivals: random last, then dot product, and FGD first.
#[test]
fn what_is_fragmented_least_holds_most() {
    let (Some(nodes), Some(pods)) = (trace("openb/nodes_gpu.csv"), trace("openb/pods_default.csv")) else {
        return;
    };
    let mut models = openb::Models::default();
    let nodes = openb::nodes(&nodes, &mut models).unwrap();
    let pods = openb::pods(&pods, &mut models).unwrap();
    let allocated = |placement| {
        let of_seed = |seed: u32| {
            let setup = Fill {
                placement,
                arrivals: 1.3,
                seed: seed.into(),
            };
            fill(nodes.clone(), &pods, &setup).unwrap().gpu_allocation_percent
        };
        let mean = (1..=SEEDS).map(of_seed).sum::<f64>() / f64::from(SEEDS);
        println!("{placement} {mean:.1}");
        mean
    };
    let all = Placement::ALL.map(|placement| (placement, allocated(placement)));
    let of = |wanted| all.iter().find(|(placement, _)| *placement == wanted).unwrap().1;
    for (placement, allocation) in all {
        assert!(allocation <= of(Placement::Fgd), "{placement} {allocation}");
        assert!(allocation >= of(Placement::Random), "{placement} {allocation}");
    }
    assert!(of(Placement::Fgd) > 94.5 && of(Placement::Random) < 90.0);
    assert!(of(Placement::DotProduct) < of(Placement::BestFit));
}
