//! Tags as names of metrics. A tag may hold anything; a name holds letters, digits and `_ / . - : ` and a space, and would
//! not name something else if it were a path.

use std::collections::{BTreeMap, BTreeSet};

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
            let mut number = 2;
            while self.taken.contains(&name) {
                name = format!("{wanted}_{number}");
                number += 1;
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
            .map(|(tag, name)| format!("the tag '{tag}' is the metric '{name}'"))
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
    if name.is_empty() { "_".to_owned() } else { name }
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
}
