//! What a run logged, as digests in one form: whoever moves runs compares a source with what is here by them, without sending
//! either side's values.
//!
//! A digest is the first 16 bytes of a BLAKE3 hash in hex.
//!
//! - Of texts: each as its length in bytes (8 bytes, little endian) and its bytes in UTF-8.
//! - Of a dataset: of its name, digest, kind of source, source, `+` and its schema or `-` if it has none, the same of its
//!   profile, and key and value of each tag in order of the keys.
//! - Of a link to a logged model: of its id, `output` or `input`, and the step in decimal digits.
//! - Of a metric: its points in order of time, step and value, each once: time and step as 8 bytes and the value as the 8
//!   bytes of a double, all little endian, then a byte. Not-a-number is 0 with a last byte of 1, behind a 0 with one of 0;
//!   of the two zeros it is the positive one.

/// The digest of some texts.
pub fn digest_of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    shown(&hasher)
}

fn shown(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..32].to_owned()
}

/// What a dataset is compared by.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct DatasetContent<'a> {
    pub name: &'a str,
    pub digest: &'a str,
    pub source_type: &'a str,
    pub source: &'a str,
    pub schema: Option<&'a str>,
    pub profile: Option<&'a str>,
    /// Key and value, in any order.
    pub tags: Vec<(&'a str, &'a str)>,
}

impl DatasetContent<'_> {
    /// Its digest.
    #[must_use]
    pub fn digest(mut self) -> String {
        self.tags.sort_unstable();
        let optional = |text: Option<&str>| match text {
            Some(text) => format!("+{text}"),
            None => "-".to_owned(),
        };
        let (schema, profile) = (optional(self.schema), optional(self.profile));
        let own = [
            self.name,
            self.digest,
            self.source_type,
            self.source,
            &schema,
            &profile,
        ];
        let tags = self.tags.iter().flat_map(|(key, value)| [*key, *value]);
        digest_of_texts(own.into_iter().chain(tags))
    }
}

/// The digest of a run's link to a logged model, which it made or read at a step.
#[must_use]
pub fn digest_of_link(model_id: &str, is_output: bool, step: i64) -> String {
    let kind = if is_output { "output" } else { "input" };
    digest_of_texts([model_id, kind, &step.to_string()])
}

/// Counts and digests the points of one metric, which come in order of time, step and value; the same one again changes
/// nothing.
#[derive(Debug, Clone, Default)]
pub struct PointsDigest {
    hasher: blake3::Hasher,
    count: u64,
    last: Option<[u8; 25]>,
}

impl PointsDigest {
    /// Takes the next point.
    pub fn add(&mut self, logged_ms: i64, step: i64, value: f64) {
        // Of two zeros the sum is the positive one.
        let stored = if value.is_nan() { 0.0 } else { value + 0.0 };
        let mut bytes = [0; 25];
        bytes[..8].copy_from_slice(&logged_ms.to_le_bytes());
        bytes[8..16].copy_from_slice(&step.to_le_bytes());
        bytes[16..24].copy_from_slice(&stored.to_le_bytes());
        bytes[24] = u8::from(value.is_nan());
        if self.last.replace(bytes) == Some(bytes) {
            return;
        }
        self.hasher.update(&bytes);
        self.count += 1;
    }

    /// How many there are, and their digest.
    #[must_use]
    pub fn finish(&self) -> (u64, String) {
        (self.count, shown(&self.hasher))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(points: &[(i64, i64, f64)]) -> (u64, String) {
        let mut digest = PointsDigest::default();
        for (logged_ms, step, value) in points {
            digest.add(*logged_ms, *step, *value);
        }
        digest.finish()
    }

    #[test]
    fn points_are_the_same_or_not() {
        let first = of(&[(1, 0, 0.5), (2, 1, f64::NAN)]);
        assert_eq!(first.0, 2);
        assert_eq!(of(&[(1, 0, 0.5), (1, 0, 0.5), (2, 1, -f64::NAN)]), first);
        assert_eq!(of(&[(1, 0, 0.0)]), of(&[(1, 0, -0.0)]));
        for other in [
            [(1, 0, 0.25), (2, 1, f64::NAN)],
            [(1, 0, 0.5), (2, 1, 0.0)],
            [(1, 0, 0.5), (2, 2, f64::NAN)],
            [(0, 0, 0.5), (2, 1, f64::NAN)],
        ] {
            assert_ne!(of(&other), first, "{other:?}");
        }
        assert_ne!(of(&[(1, 0, 0.0)]), of(&[(1, 0, f64::NAN)]));
    }

    #[test]
    fn the_form_is_the_one_that_is_written_down() {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&7_i64.to_le_bytes());
        bytes.extend_from_slice(&(-3_i64).to_le_bytes());
        bytes.extend_from_slice(&1.5_f64.to_le_bytes());
        bytes.push(0);
        let expected = blake3::hash(&bytes).to_hex()[..32].to_owned();
        assert_eq!(of(&[(7, -3, 1.5)]), (1, expected));
        let text = blake3::hash(b"\x02\0\0\0\0\0\0\0ab\x01\0\0\0\0\0\0\0c");
        assert_eq!(digest_of_texts(["ab", "c"]), text.to_hex()[..32]);
        assert_ne!(digest_of_texts(["ab", "c"]), digest_of_texts(["a", "bc"]));
    }

    #[test]
    fn a_dataset_without_a_schema_is_not_one_with_an_empty_schema() {
        let dataset = |schema, tags| DatasetContent {
            name: "set",
            digest: "abc",
            source_type: "local",
            source: "{}",
            schema,
            profile: None,
            tags,
        };
        let plain = dataset(None, vec![("a", "1"), ("b", "2")]).digest();
        assert_eq!(dataset(None, vec![("b", "2"), ("a", "1")]).digest(), plain);
        assert_ne!(dataset(Some(""), vec![("a", "1"), ("b", "2")]).digest(), plain);
        assert_ne!(dataset(None, vec![("a", "1")]).digest(), plain);
    }
}
