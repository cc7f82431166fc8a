//! Starting: prepare the directory, run a shim, hear its answer.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{LocalExecutor, blocking, inspect};
use crate::shim::{Answer, GROUP_PARENT};
use crate::{Executor, ExecutorError, TaskSpec, TaskState, files};

pub(super) async fn start(executor: &LocalExecutor, spec: &TaskSpec) -> Result<TaskState, ExecutorError> {
    check(spec)?;
    let prepared = spec.clone();
    let clock = executor.clock.clone();
    let known = blocking(move || {
        files::make_dir(&prepared.dir)?;
        match files::read_spec(&prepared.dir)? {
            Some(other) if other.id != prepared.id => {
                let reason = format!("{} belongs to {}", prepared.dir.display(), other.id);
                return Err(ExecutorError::InvalidSpec { reason });
            }
            Some(_) => {}
            None => files::write_spec(&prepared)?,
        }
        inspect::inspect(&prepared.task(), clock.as_ref())
    })
    .await?;
    if known != TaskState::NotStarted {
        return Ok(known);
    }
    let mut shim = spawn(executor, spec)?;
    let answer = hear(executor, &mut shim).await;
    executor.watched.own(&spec.dir, shim);
    match answer? {
        Answer::Started { pid, started_ms } => Ok(TaskState::Running { pid, started_ms }),
        Answer::Known => executor.inspect(&spec.task()).await,
        Answer::Refused(reason) => match executor.inspect(&spec.task()).await? {
            TaskState::NotStarted => Err(ExecutorError::ShimRefused { reason }),
            state => Ok(state),
        },
    }
}

fn check(spec: &TaskSpec) -> Result<(), ExecutorError> {
    let refuse = |reason: &str| {
        Err(ExecutorError::InvalidSpec {
            reason: reason.to_owned(),
        })
    };
    if spec.argv.first().is_none_or(String::is_empty) {
        return refuse("the command is empty");
    }
    if spec
        .argv
        .iter()
        .chain(spec.env.values())
        .any(|text| text.contains('\0'))
    {
        return refuse("an argument or variable holds a NUL character");
    }
    if spec
        .env
        .keys()
        .any(|name| name.is_empty() || name.contains(['=', '\0']))
    {
        return refuse("the name of a variable is empty or holds '='");
    }
    if !spec.dir.is_absolute() || !spec.cwd.is_absolute() {
        return refuse("its folders must be absolute paths");
    }
    Ok(())
}

fn spawn(executor: &LocalExecutor, spec: &TaskSpec) -> Result<Child, ExecutorError> {
    let Some((program, first_args)) = executor.config.shim_command.split_first() else {
        return Err(ExecutorError::ShimRefused {
            reason: "no shim command is configured".to_owned(),
        });
    };
    let complaints = files::shim_log_path(&spec.dir);
    let stderr = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&complaints)
        .map_err(|error| ExecutorError::io("open", &complaints, error))?;
    let mut command = Command::new(program);
    command
        .args(first_args)
        .arg("--dir")
        .arg(&spec.dir)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .kill_on_drop(false);
    if let Ok(parent) = &executor.group_parent {
        command.env(GROUP_PARENT, parent);
    }
    command
        .spawn()
        .map_err(|error| ExecutorError::io("run the shim", program.as_ref(), error))
}

async fn hear(executor: &LocalExecutor, shim: &mut Child) -> Result<Answer, ExecutorError> {
    let refused = |reason: &str| ExecutorError::ShimRefused {
        reason: reason.to_owned(),
    };
    let stdout = shim.stdout.take().ok_or_else(|| refused("it has no output"))?;
    let mut lines = BufReader::new(stdout).lines();
    let waited = tokio::time::timeout(executor.config.start_timeout, lines.next_line()).await;
    match waited {
        Err(_) => {
            let waited_ms = u64::try_from(executor.config.start_timeout.as_millis()).unwrap_or(u64::MAX);
            Err(ExecutorError::ShimSilent { waited_ms })
        }
        Ok(Ok(Some(line))) => {
            serde_json::from_str(&line).map_err(|_| refused("its answer is not understood"))
        }
        Ok(_) => Err(refused(
            "it ended without an answer; shim.log in the task's folder may say why",
        )),
    }
}
