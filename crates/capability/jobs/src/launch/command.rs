//! The command line of a worker.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Command, Launcher};

/// Program and arguments. Under torchrun a script is given to Python, as torchrun itself does.
pub(super) fn argv(command: &Command, launcher: Launcher, env: &BTreeMap<String, String>) -> Vec<String> {
    match (command, launcher) {
        (Command::Argv(argv), Launcher::None) => argv.clone(),
        (Command::Argv(argv), Launcher::Torchrun) => match argv.first() {
            Some(first) if is_script(first) => [python(env), "-u".to_owned()]
                .into_iter()
                .chain(argv.clone())
                .collect(),
            _ => argv.clone(),
        },
        (Command::Shell(line), Launcher::None) => shell(line.clone()),
        (Command::Shell(line), Launcher::Torchrun) => {
            let first = line.split_whitespace().next().unwrap_or_default();
            if is_script(first) {
                shell(format!("exec {} -u {}", python(env), line.trim_start()))
            } else {
                shell(line.clone())
            }
        }
    }
}

fn shell(line: String) -> Vec<String> {
    vec!["sh".to_owned(), "-c".to_owned(), line]
}

/// `train.py` and `-m package.module` are torchrun's own forms.
fn is_script(word: &str) -> bool {
    word == "-m"
        || Path::new(word)
            .extension()
            .is_some_and(|extension| extension == "py")
}

/// `python` where the task's PATH has it (every virtual environment does), else `python3`.
fn python(env: &BTreeMap<String, String>) -> String {
    let path = env.get("PATH").map(String::as_str).unwrap_or_default();
    let found = path
        .split(':')
        .any(|folder| Path::new(folder).join("python").is_file());
    if found { "python" } else { "python3" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: Command, launcher: Launcher) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("python"), "").unwrap();
        let env = BTreeMap::from([("PATH".to_owned(), dir.path().display().to_string())]);
        argv(&command, launcher, &env)
    }

    #[test]
    fn a_script_under_torchrun_is_given_to_python() {
        let line = |text: &str| Command::Shell(text.to_owned());
        assert_eq!(
            of(line("train.py --lr 1"), Launcher::Torchrun)[2],
            "exec python -u train.py --lr 1"
        );
        assert_eq!(
            of(line("-m pkg.train"), Launcher::Torchrun)[2],
            "exec python -u -m pkg.train"
        );
        assert_eq!(
            of(line("python train.py"), Launcher::Torchrun)[2],
            "python train.py"
        );
        assert_eq!(of(line("train.py"), Launcher::None)[2], "train.py");
        let argv = Command::Argv(vec!["train.py".to_owned()]);
        assert_eq!(of(argv, Launcher::Torchrun), ["python", "-u", "train.py"]);
    }

    #[test]
    fn without_python_on_the_path_it_is_python3() {
        let env = BTreeMap::new();
        assert_eq!(python(&env), "python3");
    }
}
