//! `corliss data …`

mod add;
mod checkout;
mod delete;
mod diff;
mod get;
mod hooks;
mod import;
mod lineage;
mod log;
mod merge;
mod obstacles;
mod operations;
mod refs;
mod rows;
mod show;
mod status;
mod transfer;
mod upkeep;

use crate::args::DataCommand;
use crate::context::Context;
use crate::error::CliResult;

/// Dispatches.
pub fn run(context: &Context, command: &DataCommand) -> CliResult {
    match command {
        DataCommand::List => show::list(context),
        DataCommand::Show { target } => show::show(context, target),
        DataCommand::Add(args) => add::add(context, args),
        DataCommand::Get { target, path, only } => get::get(context, target, path, only),
        DataCommand::Checkout {
            target,
            path,
            only,
            discard,
        } => checkout::checkout(context, target, path.as_deref(), only, *discard),
        DataCommand::Status { path, rehash } => status::status(context, path, *rehash),
        DataCommand::Log { target, limit } => log::log(context, target, *limit),
        DataCommand::Diff {
            from,
            to,
            limit,
            rows,
            key,
        } => match rows {
            Some(path) => rows::diff(context, from, to, path, key),
            None => diff::diff(context, from, to, *limit),
        },
        DataCommand::Branches { dataset } => refs::branches(context, dataset),
        DataCommand::Branch(args) => refs::branch(context, args),
        DataCommand::Tags { dataset } => refs::tags(context, dataset),
        DataCommand::Tag {
            dataset,
            name,
            at,
            delete,
        } => refs::tag(context, dataset, name, at.as_deref(), *delete),
        DataCommand::Merge { join, always_commit } => merge::merge(context, join, *always_commit),
        DataCommand::Revert { join } => merge::revert(context, join),
        DataCommand::CherryPick { join } => merge::cherry_pick(context, join),
        DataCommand::Delete {
            dataset,
            yes,
            dry_run,
        } => delete::delete(context, dataset, *yes, *dry_run),
        DataCommand::Hooks(command) => hooks::run(context, command),
        DataCommand::Remotes => transfer::remotes(context),
        DataCommand::Push(args) => transfer::push(context, args),
        DataCommand::Pull(args) => transfer::pull(context, args),
        DataCommand::Sources => import::sources(context),
        DataCommand::Import(args) => import::import(context, args),
        DataCommand::Operations => operations::list(context),
        DataCommand::Cancel { operation } => operations::cancel(context, operation),
        DataCommand::Clone {
            remote,
            dataset,
            name,
        } => transfer::clone(context, remote, dataset, name.as_deref()),
        DataCommand::Du => upkeep::du(context),
        DataCommand::Retain { dataset, days, .. } => upkeep::retain(context, dataset, *days),
        DataCommand::Gc {
            grace_hours,
            dry_run,
            yes,
            despite_missing,
            remote,
        } => match remote {
            Some(remote) => upkeep::gc_remote(context, remote, *grace_hours, *dry_run, *yes),
            None => upkeep::gc(context, *grace_hours, *dry_run, *yes, *despite_missing),
        },
        DataCommand::Check { quick, repair_from } => upkeep::check(context, *quick, repair_from.as_deref()),
        DataCommand::Lineage { node, direction } => lineage::lineage(context, node, direction),
    }
}
