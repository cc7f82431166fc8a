//! What is left out of a snapshot: `.corlissignore`, read like a simple `.gitignore`, and for code the
//! folders that tools make.
//!
//! `#` starts a comment, `!` takes back, a trailing `/` means folders only, a `/` elsewhere ties the pattern
//! to the root; `*`, `?` and `**` as usual. What lies in a folder that is left out cannot be taken back.

use std::path::Path;

use super::Kind;
use crate::DataError;

/// The file with the patterns; it is itself left out.
pub(super) const FILE_NAME: &str = ".corlissignore";
/// More patterns than anyone writes by hand; each is tried on each path.
const PATTERNS_MAX: usize = 1000;

/// Never part of code, wherever they lie.
const NEVER_CODE: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    ".venv",
    "target",
    "node_modules",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".ipynb_checkpoints",
];

struct Pattern {
    parts: Vec<String>,
    anchored: bool,
    folders_only: bool,
    take_back: bool,
}

/// The rules of one folder.
pub(super) struct Ignore {
    patterns: Vec<Pattern>,
    kind: Kind,
}

impl Ignore {
    pub(super) fn read(root: &Path, kind: Kind) -> Result<Self, DataError> {
        let path = root.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(DataError::io("read", &path, &error)),
        };
        Self::parse(&text, kind)
    }

    fn parse(text: &str, kind: Kind) -> Result<Self, DataError> {
        let mut patterns = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let wrong = |problem| DataError::Ignore {
                line: index + 1,
                problem,
            };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.contains(['[', '\\']) {
                return Err(wrong("uses '[' or '\\', which have no meaning here"));
            }
            if patterns.len() == PATTERNS_MAX {
                return Err(wrong("is one pattern too many"));
            }
            let (take_back, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
            let (folders_only, line) = line.strip_suffix('/').map_or((false, line), |rest| (true, rest));
            let anchored = line.contains('/');
            let parts: Vec<String> = line
                .trim_start_matches('/')
                .split('/')
                .map(str::to_owned)
                .collect();
            if parts.iter().any(String::is_empty) {
                return Err(wrong("has an empty part"));
            }
            patterns.push(Pattern {
                parts,
                anchored,
                folders_only,
                take_back,
            });
        }
        Ok(Self { patterns, kind })
    }

    /// Whether the file or folder at this path, with `/` between the parts, is left out.
    pub(super) fn leaves_out(&self, path: &str, folder: bool) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let name = parts.last().copied().unwrap_or_default();
        if path == FILE_NAME || (self.kind == Kind::Code && NEVER_CODE.contains(&name)) {
            return true;
        }
        let last = self
            .patterns
            .iter()
            .rev()
            .find(|pattern| pattern.matches(&parts, name, folder));
        last.is_some_and(|pattern| !pattern.take_back)
    }
}

impl Pattern {
    fn matches(&self, parts: &[&str], name: &str, folder: bool) -> bool {
        if self.folders_only && !folder {
            return false;
        }
        if self.anchored {
            return parts_match(&self.parts, parts);
        }
        self.parts
            .first()
            .is_some_and(|part| part_matches(part.as_bytes(), name.as_bytes()))
    }
}

fn parts_match(pattern: &[String], parts: &[&str]) -> bool {
    match (pattern.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            parts_match(rest, parts) || (!parts.is_empty() && parts_match(pattern, &parts[1..]))
        }
        (Some((first, rest)), Some((part, others))) => {
            part_matches(first.as_bytes(), part.as_bytes()) && parts_match(rest, others)
        }
        _ => false,
    }
}

/// `*` and `?` within one part, in linear time: after a mismatch only the last star is tried again.
fn part_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut in_text) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[in_text] => {
                at += 1;
                in_text += 1;
            }
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    (at, in_text) = (star_at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_read_like_gitignore() {
        let text = "# comment\n*.log\n!keep.log\n/build\nout/\ndocs/**/tmp\n";
        let ignore = Ignore::parse(text, Kind::Data).unwrap();
        for (path, folder) in [
            ("a.log", false),
            ("x/b.log", false),
            ("build", true),
            ("build", false),
            ("x/out", true),
            ("docs/tmp", true),
            ("docs/a/b/tmp", false),
            (".corlissignore", false),
        ] {
            assert!(ignore.leaves_out(path, folder), "{path}");
        }
        for (path, folder) in [
            ("keep.log", false),
            ("x/build", true),
            ("out", false),
            ("other/tmp", true),
            (".git", true),
            ("x/.corlissignore", false),
        ] {
            assert!(!ignore.leaves_out(path, folder), "{path}");
        }
        let code = Ignore::parse("", Kind::Code).unwrap();
        assert!(code.leaves_out("a/__pycache__", true) && code.leaves_out(".git", true));
    }

    #[test]
    fn stars_backtrack() {
        for (pattern, text, matches) in [
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbY", false),
            ("*", "", true),
            ("?", "", false),
            ("**x", "ax", true),
            ("*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(
                part_matches(pattern.as_bytes(), text.as_bytes()),
                matches,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let error = Ignore::parse("ok\n[ab]\n", Kind::Data).err();
        assert!(matches!(error, Some(DataError::Ignore { line: 2, .. })));
        assert!(Ignore::parse("a//b\n", Kind::Data).is_err());
    }
}
