//! What follows from how tasks stand, case by case and at random.

use std::collections::BTreeMap;

use corliss_types::{IdSeed, JobId, Resources, TaskId};
use proptest::prelude::*;

use super::*;
use crate::{JobKind, JobSpec, Launcher};

fn seed(number: u8) -> IdSeed {
    IdSeed {
        at: Timestamp::from_millis(1),
        random: [number; 10],
    }
}

fn job(workers: u32, state: JobState) -> Job {
    let spec = JobSpec {
        name: "train".to_owned(),
        kind: JobKind::Batch,
        run_id: None,
        step: None,
        attempt: 1,
        workers,
        launcher: Launcher::None,
        command: Command::Argv(vec!["true".to_owned()]),
        env: BTreeMap::new(),
        cwd: "/".into(),
        resources: Resources::default(),
        timeout_ms: None,
        grace_ms: 0,
        checkpoint: None,
        log_limit_bytes: 1 << 20,
        terms: crate::Terms::default(),
    };
    let task = |rank: u32| Task {
        id: TaskId::new(seed(u8::try_from(rank).unwrap())),
        rank,
        phase: TaskPhase::Running,
        pid: Some(10),
        exit: None,
    };
    Job {
        id: JobId::new(seed(0)),
        key: "k".to_owned(),
        spec,
        state,
        generation: 3,
        reason: None,
        class: None,
        stop_cause: None,
        placement: Vec::new(),
        boot_id: None,
        launch: None,
        created: Timestamp::from_millis(1),
        admitted: None,
        started: None,
        ended: None,
        tasks: (0..workers).map(task).collect(),
    }
}

fn exit(kind: ExitKind, code: Option<i32>, signal: Option<i32>, ended_ms: i64) -> TaskExit {
    TaskExit {
        code,
        signal,
        started_ms: Some(5),
        ..TaskExit::of(kind, ended_ms)
    }
}

fn ending(job: &Job, exits: &[Option<TaskExit>]) -> Option<JobChange> {
    let tasks = job.tasks.iter().zip(exits).map(|(task, exit)| match exit {
        Some(exit) => observed(task, TaskState::Exited(exit.clone()), None),
        None => task.clone(),
    });
    conclude(job, tasks.collect(), None, Timestamp::from_millis(99))
}

#[test]
fn a_killed_worker_ends_its_gang_and_the_machine_is_to_blame() {
    let mut job = job(2, JobState::Running);
    let killed = exit(ExitKind::Signaled, None, Some(9), 10);
    let change = ending(&job, &[None, Some(killed.clone())]).unwrap();
    assert_eq!(
        (change.state, change.stop_cause),
        (JobState::Stopping, Some(StopCause::Gang))
    );
    job.stop_cause = Some(StopCause::Gang);
    job.state = JobState::Stopping;
    let stopped = exit(ExitKind::Cancelled, None, Some(15), 20);
    let change = ending(&job, &[Some(stopped), Some(killed)]).unwrap();
    assert_eq!(
        (change.state, change.class),
        (JobState::Failed, Some(ExitClass::Infrastructure))
    );
    let reason = change.reason.unwrap();
    assert_eq!(
        reason,
        "rank 1 was killed by signal 9 (SIGKILL), which Corliss did not send"
    );
}

#[test]
fn a_peer_that_noticed_first_does_not_take_the_blame() {
    let mut job = job(2, JobState::Running);
    job.stop_cause = Some(StopCause::Gang);
    let noticed = exit(ExitKind::Exited, Some(1), None, 9);
    let killed = exit(ExitKind::Signaled, None, Some(9), 10);
    let change = ending(&job, &[Some(noticed), Some(killed)]).unwrap();
    assert_eq!(change.class, Some(ExitClass::Infrastructure));
    assert!(change.reason.unwrap().starts_with("rank 1 "));
}

#[test]
fn the_program_is_to_blame_for_its_own_ends() {
    for kind in [
        exit(ExitKind::Exited, Some(1), None, 9),
        exit(ExitKind::Signaled, None, Some(11), 9),
        exit(ExitKind::OutOfMemory, None, Some(9), 9),
        exit(ExitKind::TimedOut, None, Some(15), 9),
    ] {
        let change = ending(&job(1, JobState::Running), &[Some(kind.clone())]).unwrap();
        assert_eq!(
            (change.state, change.class),
            (JobState::Failed, Some(ExitClass::User)),
            "{kind:?}"
        );
    }
    let lost = ending(
        &job(1, JobState::Running),
        &[Some(exit(ExitKind::Lost, None, None, 9))],
    )
    .unwrap();
    assert_eq!(lost.class, Some(ExitClass::Infrastructure));
}

#[test]
fn a_shell_tells_of_a_killed_child_by_its_code() {
    let mut job = job(1, JobState::Running);
    let code = Some(exit(ExitKind::Exited, Some(137), None, 9));
    assert_eq!(
        ending(&job, std::slice::from_ref(&code)).unwrap().class,
        Some(ExitClass::User)
    );
    job.spec.command = Command::Shell("python train.py | tee log".to_owned());
    assert_eq!(
        ending(&job, &[code]).unwrap().class,
        Some(ExitClass::Infrastructure)
    );
}

#[test]
fn a_shim_about_to_spawn_is_not_the_program() {
    let mut job = job(1, JobState::Starting);
    job.tasks[0].phase = TaskPhase::Pending;
    job.tasks[0].pid = None;
    let task = observed(
        &job.tasks[0],
        TaskState::Running {
            pid: 7,
            started_ms: 0,
        },
        None,
    );
    assert_eq!((task.phase, task.pid), (TaskPhase::Pending, None));
}

#[test]
fn a_task_whose_record_is_gone_is_lost_only_if_it_may_have_run() {
    let job = job(1, JobState::Starting);
    let task = observed(&job.tasks[0], TaskState::NotStarted, None);
    assert_eq!(task, job.tasks[0]);
    let task = observed(
        &job.tasks[0],
        TaskState::NotStarted,
        Some(Timestamp::from_millis(7)),
    );
    assert_eq!(task.exit.unwrap().kind, ExitKind::Lost);
}

fn any_exit() -> impl Strategy<Value = Option<TaskExit>> {
    let kind = prop_oneof![
        Just((ExitKind::Exited, Some(0), None)),
        Just((ExitKind::Exited, Some(1), None)),
        Just((ExitKind::Signaled, None, Some(9))),
        Just((ExitKind::OutOfMemory, None, Some(9))),
        Just((ExitKind::Cancelled, None, Some(15))),
        Just((ExitKind::Lost, None, None)),
    ];
    proptest::option::of(
        (kind, 1_i64..50).prop_map(|((kind, code, signal), at)| exit(kind, code, signal, at)),
    )
}

#[test]
fn who_made_room_for_another_is_nobodys_fault() {
    let mut job = job(1, JobState::Running);
    job.stop_cause = Some(StopCause::Preempted);
    let change = ending(&job, &[Some(exit(ExitKind::Cancelled, None, Some(15), 3))]).unwrap();
    assert_eq!(
        (change.state, change.class),
        (JobState::Failed, Some(ExitClass::Preempted))
    );
    assert_eq!(change.reason, None, "for whom was recorded when it was decided");
}

proptest! {
    #[test]
    fn a_job_ends_exactly_when_all_its_tasks_have(
        exits in proptest::collection::vec(any_exit(), 1..6),
        cause in proptest::option::of(prop_oneof![
            Just(StopCause::Cancel), Just(StopCause::Gang), Just(StopCause::Interrupt)
        ]),
    ) {
        let mut job = job(u32::try_from(exits.len()).unwrap(), JobState::Running);
        job.stop_cause = cause;
        let change = ending(&job, &exits);
        let state = change.as_ref().map_or(job.state, |change| change.state);
        let all_ended = exits.iter().all(Option::is_some);
        let all_well = exits.iter().flatten().all(TaskExit::succeeded);
        prop_assert_eq!(state.is_final(), all_ended);
        if all_ended {
            let change = change.unwrap();
            prop_assert_eq!(state == JobState::Succeeded, all_well);
            prop_assert!(change.ended.is_some());
            // Who failed says who was at fault, and why; nobody else does.
            prop_assert_eq!(change.class.is_some(), state == JobState::Failed);
            prop_assert_eq!(change.reason.is_some(), state != JobState::Succeeded);
        } else if !all_well {
            prop_assert_eq!(state, JobState::Stopping, "a gang that lost a worker goes on");
        }
    }

    #[test]
    fn concluding_again_from_what_was_recorded_changes_nothing(exits in proptest::collection::vec(any_exit(), 1..6)) {
        let mut job = job(u32::try_from(exits.len()).unwrap(), JobState::Starting);
        if let Some(change) = ending(&job, &exits) {
            job.state = change.state;
            job.stop_cause = change.stop_cause;
            job.started = change.started;
            job.tasks = change.tasks;
            if !job.state.is_final() {
                prop_assert!(conclude(&job, job.tasks.clone(), None, Timestamp::from_millis(100)).is_none());
            }
        }
    }
}
