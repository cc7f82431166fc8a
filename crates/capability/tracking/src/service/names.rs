//! Names for runs and models whose maker gave none: adjective-noun-number.

const ADJECTIVES: [&str; 32] = [
    "able", "amber", "bold", "brave", "bright", "calm", "clever", "crisp", "eager", "early", "fair", "fleet",
    "fond", "gentle", "grand", "honest", "keen", "kind", "lively", "lucid", "mellow", "merry", "neat",
    "noble", "patient", "proud", "quiet", "ready", "steady", "swift", "warm", "wise",
];

const NOUNS: [&str; 32] = [
    "anchor", "beam", "bridge", "brook", "cedar", "crane", "crest", "dune", "falcon", "fern", "finch",
    "flint", "forge", "gear", "governor", "grove", "harbor", "heron", "lantern", "larch", "lathe", "meadow",
    "mill", "otter", "piston", "quarry", "rotor", "spindle", "sparrow", "valve", "willow", "wren",
];

/// A name from four random bytes.
pub(super) fn name_of(random: [u8; 4]) -> String {
    let adjective = ADJECTIVES[usize::from(random[0]) % ADJECTIVES.len()];
    let noun = NOUNS[usize::from(random[1]) % NOUNS.len()];
    let number = u16::from_be_bytes([random[2], random[3]]) % 1000;
    format!("{adjective}-{noun}-{number}")
}
