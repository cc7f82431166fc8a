//! What a step must have left in a declared output before it becomes a version.

use std::path::Path;

use crate::error::PipelinesError;

/// More entries than this are not one output of one step.
const MAX_ENTRIES: usize = 2_000_000;

/// Refuses an output that is missing, empty, or holds links out of itself or things that are no files.
pub(crate) fn check_output(name: &str, folder: &Path) -> Result<(), PipelinesError> {
    let refuse = |message: String| Err(PipelinesError::StepOutput { message });
    match std::fs::symlink_metadata(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return refuse(format!("output '{name}' is gone: the step removed its folder"));
        }
        Err(error) => return Err(PipelinesError::file("inspect", folder)(error)),
        Ok(found) if !found.is_dir() => {
            return refuse(format!(
                "output '{name}' is not a folder any more: the step replaced it"
            ));
        }
        Ok(_) => {}
    }
    let root = folder
        .canonicalize()
        .map_err(PipelinesError::file("resolve", folder))?;
    let mut open = vec![root.clone()];
    let (mut entries, mut files) = (0_usize, 0_usize);
    while let Some(inner) = open.pop() {
        for entry in std::fs::read_dir(&inner).map_err(PipelinesError::file("list", &inner))? {
            let entry = entry.map_err(PipelinesError::file("list", &inner))?;
            entries += 1;
            if entries > MAX_ENTRIES {
                return refuse(format!("output '{name}' holds more than {MAX_ENTRIES} files"));
            }
            let path = entry.path();
            let shown = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
            let kind = entry
                .file_type()
                .map_err(PipelinesError::file("inspect", &path))?;
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_symlink() {
                match path.canonicalize() {
                    Ok(target) if target.starts_with(&root) => files += 1,
                    Ok(_) => return refuse(format!("output '{name}' holds a link out of itself: {shown}")),
                    Err(_) => return refuse(format!("output '{name}' holds a link to nothing: {shown}")),
                }
            } else if kind.is_file() {
                files += 1;
            } else {
                return refuse(format!(
                    "output '{name}' holds something that is not a file: {shown}"
                ));
            }
        }
    }
    if files == 0 {
        let variable = crate::project_file::variable_name(name);
        return refuse(format!(
            "output '{name}' is empty: the step wrote nothing to $CORLISS_OUTPUT_{variable}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(folder: &Path) -> String {
        check_output("model", folder).map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn outputs_are_checked_before_they_become_versions() {
        let home = tempfile::tempdir().unwrap();
        let output = home.path().join("model");
        assert_eq!(
            told(&output),
            "output 'model' is gone: the step removed its folder"
        );
        std::fs::write(&output, "x").unwrap();
        assert_eq!(
            told(&output),
            "output 'model' is not a folder any more: the step replaced it"
        );
        std::fs::remove_file(&output).unwrap();
        std::fs::create_dir_all(output.join("empty")).unwrap();
        assert_eq!(
            told(&output),
            "output 'model' is empty: the step wrote nothing to $CORLISS_OUTPUT_MODEL"
        );
        std::fs::write(output.join("weights"), "x").unwrap();
        assert_eq!(told(&output), "fine");
        std::os::unix::fs::symlink("weights", output.join("latest")).unwrap();
        assert_eq!(told(&output), "fine");
        std::os::unix::fs::symlink("../../etc", output.join("empty/out")).unwrap();
        assert!(told(&output).ends_with("empty/out"), "{}", told(&output));
        std::fs::remove_file(output.join("empty/out")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", output.join("host")).unwrap();
        assert_eq!(told(&output), "output 'model' holds a link out of itself: host");
        std::fs::remove_file(output.join("host")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(output.join("socket")).unwrap();
        assert_eq!(
            told(&output),
            "output 'model' holds something that is not a file: socket"
        );
    }
}
