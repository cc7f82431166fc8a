//! Where the system keeps PostgreSQL's server programs.

use std::path::{Path, PathBuf};

/// The folder that holds `initdb` and `postgres`: one on PATH, else the newest that Debian's packages made.
pub(super) fn find() -> Result<PathBuf, String> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&on_path)
        .chain(debian())
        .find(|folder| holds_server(folder))
        .ok_or_else(|| {
            format!(
                "PostgreSQL's server programs were not found on PATH or in /usr/lib/postgresql: \
                 run 'apt-get install postgresql', or set {}=1 to leave these tests out",
                super::SKIP_VARIABLE
            )
        })
}

fn holds_server(folder: &Path) -> bool {
    folder.is_absolute() && folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

fn debian() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    versions.sort_by(|left, right| right.cmp(left));
    versions.into_iter().map(|(_, folder)| folder).collect()
}
