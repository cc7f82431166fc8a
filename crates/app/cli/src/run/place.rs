//! Where an entry stands in a project file, for messages about what the file names.

/// Line and column of an entry under `data`, from 1; the file's beginning if it is written in a way that is
/// not seen here.
pub fn of_data(text: &str, name: &str) -> (usize, usize) {
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        let key = line.trim_start();
        if key.is_empty() || key.starts_with('#') {
            continue;
        }
        if key.len() == line.len() {
            inside = line.starts_with("data:");
        }
        if inside && let Some(column) = key_in(line, name) {
            return (at + 1, column);
        }
    }
    (1, 1)
}

/// The column of `name:` in a line, also within braces.
fn key_in(line: &str, name: &str) -> Option<usize> {
    let found = line.match_indices(name).find(|(at, _)| {
        let before = line[..*at].trim_end_matches(['"', '\'']);
        let after = line[at + name.len()..].trim_start_matches(['"', '\'']);
        (before.trim().is_empty() && *at > 0 || before.trim_end().ends_with(['{', ',']))
            && after.trim_start().starts_with(':')
    });
    found.map(|(at, _)| line[..at].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::of_data;

    #[test]
    fn the_entry_is_found_where_it_stands() {
        let text =
            "project: digits\nsteps:\n  digits: {}\n\n# data\ndata:\n  # here\n  raw: ./x\n  digits: ./y\n";
        assert_eq!(of_data(text, "digits"), (9, 3));
        assert_eq!(of_data("data: {a: ./x, data: ./y}\n", "data"), (1, 16));
        assert_eq!(of_data("data:\n  \"a\": ./a\n", "a"), (2, 4));
        assert_eq!(of_data("data:\n  a: ./b\n", "b"), (1, 1));
    }
}
