//! `corliss endpoints …`: list, show, deploy, release, connect, delete; how requests are routed, and what became of them.

mod connect;
mod releases;
mod requests;
mod routing;

use std::time::Instant;

use serde_json::{Value, json};

use crate::args::{BatchingArgs, DeployArgs, EndpointsCommand};
use crate::confirm::confirm;
use crate::context::{Context, typed};
use crate::error::CliResult;
use crate::link::{self, Link};
use crate::output::{self, Table};
use crate::readiness::{self, Readiness, path};
use crate::views::{EndpointView, Page, ReplicaView, ServiceView};
use crate::{interrupt, program, units};

/// Replicas that are shown although they have ended.
const ENDED_SHOWN: usize = 2;

/// Dispatches.
pub fn run(context: &Context, command: &EndpointsCommand) -> CliResult {
    match command {
        EndpointsCommand::List => list(context),
        EndpointsCommand::Show { name } => show(context, name),
        EndpointsCommand::Deploy(args) => {
            let mut body = json!({ "model": args.model });
            if let Some(replicas) = args.replicas {
                body["replicas"] = json!(replicas);
            }
            // Left out otherwise, so that an older server takes it.
            if args.allow_pickle {
                body["allow_pickle"] = json!(true);
            }
            let batching = batching_of(&args.batching);
            if batching != json!({}) {
                body["batching"] = batching;
            }
            if let Some(plan) = releases::plan(&args.release) {
                body["release"] = plan;
            }
            deploy(context, args, &body)
        }
        EndpointsCommand::Connect(args) => connect::run(context, args),
        EndpointsCommand::Releases(args) => releases::run(context, args),
        EndpointsCommand::Promote { name } => releases::tell(context, name, "promote"),
        EndpointsCommand::Rollback { name } => releases::tell(context, name, "rollback"),
        EndpointsCommand::Pause { name } => releases::tell(context, name, "pause"),
        EndpointsCommand::Resume { name } => releases::tell(context, name, "resume"),
        EndpointsCommand::Delete { name, yes } => delete(context, name, *yes),
        EndpointsCommand::Routing(args) => routing::run(context, args),
        EndpointsCommand::Requests { name, limit } => requests::run(context, name, *limit),
    }
}

fn batching_of(args: &BatchingArgs) -> Value {
    let mut batching = json!({});
    let numbers = [
        ("rows_max", args.batch_max.map(u64::from)),
        ("delay_us", args.batch_delay),
        ("instances", args.instances.map(u64::from)),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            batching[name] = json!(number);
        }
    }
    if !args.batch_prefer.is_empty() {
        batching["preferred"] = json!(args.batch_prefer);
    }
    batching
}

fn list(context: &Context) -> CliResult {
    let answer: Value = context.api()?.get("/api/v1/endpoints")?;
    context.answer(answer, |page: Page<EndpointView>| {
        let mut table = Table::new(&[
            "endpoint", "model", "version", "state", "ready", "requests", "reason",
        ]);
        for endpoint in page.items {
            table.row([
                endpoint.name,
                endpoint.model,
                endpoint
                    .serving_version
                    .map(|version| version.to_string())
                    .unwrap_or_default(),
                endpoint.state,
                format!("{}/{}", endpoint.replicas_ready, endpoint.replicas_desired),
                units::grouped(endpoint.requests_total),
                endpoint.reason.unwrap_or_default(),
            ]);
        }
        table.print(&format!(
            "No endpoints yet. Deploy a model with: {}",
            program::command("endpoints deploy NAME --model MODEL@ALIAS")
        ));
    })
}

fn show(context: &Context, name: &str) -> CliResult {
    let answer: Value = context.api()?.get(&path(name))?;
    context.answer(answer, |endpoint: EndpointView| print_endpoint(&endpoint))
}

fn print_endpoint(endpoint: &EndpointView) {
    output::say(&format!(
        "{}  {}  {} ({} of {} {} ready)",
        endpoint.name,
        endpoint.model,
        endpoint.state,
        endpoint.replicas_ready,
        endpoint.replicas_desired,
        if endpoint.service.is_some() {
            "addresses"
        } else {
            "replicas"
        }
    ));
    if let (Some(serving), Some(desired)) = (endpoint.serving_version, endpoint.desired_version)
        && serving != desired
    {
        output::say(&format!("serves version {serving}, rolling to {desired}"));
    }
    if let Some(reason) = &endpoint.reason {
        output::say(&format!("because {reason}"));
    }
    output::say("");
    if let Some(service) = &endpoint.service {
        return print_service(service);
    }
    print_replicas(&endpoint.replicas);
}

fn print_replicas(replicas: &[ReplicaView]) {
    let mut table = Table::new(&[
        "replica",
        "version",
        "state",
        "restarts",
        "in flight",
        "job",
        "reason",
    ]);
    let (shown, left_out) = of_interest(replicas);
    for replica in shown {
        table.row([
            replica.id.clone(),
            replica.version.to_string(),
            replica.state.clone(),
            replica.restarts.to_string(),
            replica.in_flight.to_string(),
            replica.job_id.clone().unwrap_or_default(),
            replica.reason.clone().unwrap_or_default(),
        ]);
    }
    table.print("It has no replicas.");
    if left_out > 0 {
        let more = units::plural_of(left_out as u64, "replica", "replicas");
        output::say(&format!("\nAnd {more} that ended before; --json lists them all."));
    }
}

/// Replicas that are there and those that ended last, and how many ended before.
fn of_interest(replicas: &[ReplicaView]) -> (Vec<&ReplicaView>, usize) {
    let ended = replicas.iter().filter(|replica| replica.has_ended()).count();
    let left_out = ended.saturating_sub(ENDED_SHOWN);
    let mut passed = 0;
    let shown = replicas.iter().filter(|replica| {
        passed += usize::from(replica.has_ended());
        !replica.has_ended() || passed > left_out
    });
    (shown.collect(), left_out)
}

fn print_service(service: &ServiceView) {
    let mut table = Table::new(&["target", "address", "weight"]);
    for target in &service.targets {
        table.row([target.id.clone(), target.url.clone(), target.weight.to_string()]);
    }
    table.print("");
    let key = if service.has_key { "a key" } else { "no key" };
    output::say(&format!(
        "\nA service that speaks {}, shown {key}.",
        service.dialect
    ));
}

fn deploy(context: &Context, args: &DeployArgs, body: &Value) -> CliResult {
    let (api, name) = (context.api()?, args.name.as_str());
    let answer: CliResult<Value> = api.put(&path(name), body);
    let mut answer = answer.map_err(|error| releases::in_flags(&args.release, error))?;
    if !args.detach {
        if let Some(id) = answer["release"]["id"].as_str() {
            let look = format!("endpoints releases {name}");
            return releases::wait(Link::new(context, api, "the release", look), context, name, id);
        }
        let look = format!("endpoints show {name}");
        answer = wait_until_ready(Link::new(context, api, "the endpoint", look), name)?;
    }
    let begun = releases::begun(name, &answer["release"])?;
    context.answer(answer, |endpoint: EndpointView| {
        print_endpoint(&endpoint);
        if let Some(begun) = begun {
            output::say(&format!("\n{begun}"));
        }
    })
}

/// Polls until the desired version serves, or the endpoint says that it cannot.
fn wait_until_ready(mut link: Link, name: &str) -> CliResult<Value> {
    interrupt::on_interrupt(readiness::goes_on(name));
    let started = Instant::now();
    loop {
        let answer = link.get(&path(name))?;
        link.tell();
        if let Some(answer) = answer {
            match readiness::of(&typed(answer.clone())?) {
                Readiness::Ready => return Ok(answer),
                Readiness::Failed(reason) => return Err(readiness::failed(name, &reason)),
                Readiness::Deploying => {}
            }
        }
        if started.elapsed() > readiness::DEADLINE {
            return Err(readiness::late(name));
        }
        std::thread::sleep(link::PAUSE);
    }
}

fn delete(context: &Context, name: &str, yes: bool) -> CliResult {
    let api = context.api()?;
    if !yes {
        confirm(&format!("Remove endpoint '{name}'? Its clients will get errors."))?;
    }
    api.delete(&path(name))?;
    if context.json {
        output::say_json(&json!({ "name": name, "state": "stopping" }));
    } else {
        output::say(&format!("Endpoint '{name}' is being removed."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_that_ended_the_last_are_shown() {
        let replica = |(number, state): (usize, &&str)| -> ReplicaView {
            serde_json::from_value(json!({ "id": format!("rep_{number}"), "version": 1, "state": state }))
                .unwrap()
        };
        let states = ["stopped", "failed", "ready", "stopped", "failed", "starting"];
        let replicas: Vec<ReplicaView> = states.iter().enumerate().map(replica).collect();
        let (shown, left_out) = of_interest(&replicas);
        let ids: Vec<&str> = shown.iter().map(|replica| replica.id.as_str()).collect();
        assert_eq!((ids, left_out), (vec!["rep_2", "rep_3", "rep_4", "rep_5"], 2));
        assert_eq!(of_interest(&replicas[2..]).1, 0);
    }
}
