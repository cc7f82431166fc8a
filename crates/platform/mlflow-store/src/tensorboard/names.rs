//! Tags as names of metrics. A tag may hold anything; a name holds letters, digits and `_ / . - : ` and a space, at most 250
//! of them, and would not name something else if it were a path.

use std::collections::{BTreeMap, BTreeSet};

/// Characters of a name.
const LONGEST: usize = 250;
/// Those that stand for what is cut off of a tag that is longer.
const DIGEST: usize = 16;

/// Characters of a tag that are told.
const SHOWN: usize = 80;

/// The names that tags got.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_tag: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Names {
    /// The name of a tag: the tag itself where it can be, another one that no tag has where it cannot.
    pub fn of(&mut self, tag: &str) -> &str {
        if !self.by_tag.contains_key(tag) {
            let wanted = plain(tag);
            let mut name = wanted.clone();
            for number in 2_u64.. {
                if !self.taken.contains(&name) {
                    break;
                }
                let behind = format!("_{number}");
                let kept: String = wanted.chars().take(LONGEST - behind.len()).collect();
                name = kept + &behind;
            }
            self.taken.insert(name.clone());
            self.by_tag.insert(tag.to_owned(), name);
        }
        self.by_tag.get(tag).map_or("", String::as_str)
    }

    /// Which tags got another name.
    pub fn told(&self) -> Vec<String> {
        let changed = self.by_tag.iter().filter(|(tag, name)| tag != name);
        changed
            .map(|(tag, name)| match tag.char_indices().nth(SHOWN) {
                Some((end, _)) => format!("the tag '{}…' is the metric '{name}'", &tag[..end]),
                None => format!("the tag '{tag}' is the metric '{name}'"),
            })
            .collect()
    }
}

fn plain(tag: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | ' ' | ':');
    let text: String = tag.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    let parts: Vec<&str> = text
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".."))
        .collect();
    let name = parts.join("/");
    // A name that begins with two dots is refused as one that climbs.
    let name = match name.strip_prefix("..") {
        Some(rest) => format!("_{rest}"),
        None => name,
    };
    match name.chars().count() {
        0 => "_".to_owned(),
        1..=LONGEST => name,
        // What is cut off would tell it from others.
        _ => {
            let kept: String = name.chars().take(LONGEST - DIGEST - 1).collect();
            let digest = blake3::hash(tag.as_bytes()).to_hex();
            format!("{kept}_{}", &digest[..DIGEST])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tags_never_share_a_name() {
        let mut names = Names::default();
        for (tag, name) in [
            ("loss/train", "loss/train"),
            ("acc (top 5)", "acc _top 5_"),
            ("acc [top 5]", "acc _top 5__2"),
            ("acc (top 5)", "acc _top 5_"),
            ("/a//b/../c", "a/b/c"),
            ("..x", "_x"),
            ("", "_"),
        ] {
            assert_eq!(names.of(tag), name, "{tag}");
        }
        assert_eq!(names.told().len(), 5);
    }

    #[test]
    fn a_long_tag_keeps_its_beginning_and_no_other_gets_its_name() {
        let mut names = Names::default();
        let (first, second) = (format!("{}a", "x".repeat(250)), format!("{}b", "x".repeat(250)));
        let name = names.of(&first).to_owned();
        assert_eq!(name.len(), 250);
        assert!(name.starts_with(&"x".repeat(233)), "{name}");
        assert_ne!(names.of(&second), name);
        // The same in another run, whatever came before it.
        assert_eq!(Names::default().of(&first), name);
        assert_eq!(names.of(&"y".repeat(250)), "y".repeat(250));
    }
}
