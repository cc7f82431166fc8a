//! What each error tells beside its sentence: code, meaning, field and fix.

use corliss_diagnostics::{Diagnose, Meaning};

use super::DataError;

impl Diagnose for DataError {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidPath { .. } => "data_path_invalid",
            Self::DuplicatePath { .. } => "data_path_duplicate",
            Self::PathConflict { .. } => "data_path_conflict",
            Self::PathTwin { .. } => "data_path_twin",
            Self::BadTree { .. } => "data_tree_invalid",
            Self::TreeDamaged { .. } => "data_tree_damaged",
            Self::TooManyFiles { .. } => "data_too_many_files",
            Self::BlobMissing { .. } => "data_blob_missing",
            Self::TransferCutShort => "data_transfer_cut_short",
            Self::SizeMismatch { .. } => "data_size_mismatch",
            Self::DatasetNotFound { .. } => "dataset_not_found",
            Self::RefNotFound { .. } => "data_ref_not_found",
            Self::RefExists { .. } => "data_ref_exists",
            Self::BadRefName { .. } => "data_ref_name_invalid",
            Self::BranchMoved { .. } => "data_branch_moved",
            Self::BranchProtected { .. } => "data_branch_protected",
            Self::DefaultBranch { .. } => "data_default_branch",
            Self::NoCommit { .. } => "data_no_commit",
            Self::UnrelatedHistories => "data_histories_unrelated",
            Self::NotOneParent { .. } => "data_not_one_parent",
            Self::Conflicts { .. } => "data_conflicts",
            Self::TreeMissing { .. } => "data_tree_missing",
            Self::VersionOrEdits => "data_version_or_edits",
            Self::BadPageToken => "data_page_token_invalid",
            Self::Busy => "data_busy",
            Self::VersionNotFound { .. } => "version_not_found",
            Self::FileNotFound { .. } => "file_not_found",
            Self::BadReference { .. } => "data_reference_invalid",
            Self::Ambiguous { .. } => "version_ambiguous",
            Self::BadNode { .. } => "lineage_node_invalid",
            Self::MessageTooLong { .. } => "data_message_too_long",
            Self::BadMessage => "data_message_invalid",
            Self::BadDatasetName { .. } => "dataset_name_invalid",
            Self::QuickRepair => "data_quick_repair",
            Self::DespiteMissingRemote => "data_despite_missing_remote",
            Self::CollectsItself { .. } => "data_remote_collects_itself",
            Self::ExpectedWithoutTo => "data_expected_without_to",
            Self::TooMany { .. } => "data_too_many",
            Self::NotAFolder { .. } => "data_not_a_folder",
            Self::LinkOutside { .. } => "data_link_outside",
            Self::LinkToFolder { .. } => "data_link_to_folder",
            Self::LinkBroken { .. } => "data_link_broken",
            Self::SpecialFile { .. } => "data_special_file",
            Self::Ignore { .. } => "data_ignore_invalid",
            Self::Changed { .. } => "data_changed",
            Self::Damaged { .. } => "data_damaged",
            Self::StorageFull => "data_storage_full",
            Self::Io { .. } => "data_io",
            Self::NoTable { .. } => "data_no_table",
            Self::Table(error) => error.code(),
            Self::Port(error) => error.code(),
            Self::Expired { .. } => "version_expired",
            Self::RemoteNotFound { .. } => "data_remote_not_found",
            Self::Remote { trouble, .. } => trouble.code(),
            Self::NotFastForward { .. } => "data_not_fast_forward",
            Self::BadCommit { .. } => "data_commit_invalid",
            Self::CommitMissing { .. } => "data_commit_missing",
            Self::DatasetExists { .. } => "dataset_exists",
            Self::TransferRunning { .. } => "data_transfer_running",
            Self::OperationNotFound { .. } => "data_operation_not_found",
            Self::FolderNotLent => "data_folder_not_lent",
            Self::HookRefused { .. } => "data_hook_refused",
            Self::HookUnanswered { .. } => "data_hook_unanswered",
            Self::HookNotFound { .. } => "data_hook_not_found",
            Self::BadHook { .. } => "data_hook_invalid",
            Self::HookSecret { .. } => "data_hook_secret",
            Self::Webhook(error) => error.code(),
            Self::UpkeepRunning { .. } => "data_upkeep_running",
            Self::SourceNotFound { .. } => "data_source_not_found",
            Self::Source { .. } => "data_source_failed",
            Self::SourceChanged { .. } => "data_source_changed",
            Self::SourceEmpty { .. } => "data_source_empty",
            Self::ImportRefused { .. } => "data_import_refused",
            Self::Link { trouble, .. } => trouble.code(),
            Self::Blob(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::DatasetNotFound { .. }
            | Self::RefNotFound { .. }
            | Self::VersionNotFound { .. }
            | Self::FileNotFound { .. }
            | Self::RemoteNotFound { .. }
            | Self::HookNotFound { .. }
            | Self::OperationNotFound { .. }
            | Self::FolderNotLent
            | Self::SourceNotFound { .. }
            | Self::SourceEmpty { .. } => Meaning::NotFound,
            Self::Remote { trouble, .. } => trouble.meaning(),
            Self::BlobMissing { .. }
            | Self::TreeMissing { .. }
            | Self::RefExists { .. }
            | Self::BranchMoved { .. }
            | Self::BranchProtected { .. }
            | Self::DefaultBranch { .. }
            | Self::Conflicts { .. }
            | Self::NotFastForward { .. }
            | Self::CommitMissing { .. }
            | Self::DatasetExists { .. }
            | Self::TransferRunning { .. }
            | Self::HookRefused { .. }
            | Self::UpkeepRunning { .. }
            | Self::SourceChanged { .. }
            | Self::Busy
            | Self::Changed { .. } => Meaning::Conflict,
            Self::TooManyFiles { .. } | Self::MessageTooLong { .. } | Self::TooMany { .. } => {
                Meaning::TooLarge
            }
            Self::StorageFull => Meaning::StorageFull,
            Self::Damaged { .. } | Self::TreeDamaged { .. } | Self::Io { .. } => Meaning::Internal,
            Self::Table(error) => error.meaning(),
            Self::Port(error) => error.meaning(),
            Self::Expired { .. } => Meaning::NotFound,
            Self::HookUnanswered { .. } => Meaning::Unavailable,
            Self::HookSecret { .. } => Meaning::Internal,
            Self::Webhook(error) => error.meaning(),
            Self::Source { error, .. } => match error.meaning() {
                // Not the caller's request is wrong, but what the administrator set or the bucket does.
                Meaning::Unavailable => Meaning::Unavailable,
                _ => Meaning::Internal,
            },
            Self::Link { trouble, .. } => trouble.meaning(),
            Self::Blob(error) => error.meaning(),
            Self::Store(error) => error.meaning(),
            _ => Meaning::InvalidInput,
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::BadNode { .. } => Some("node".to_owned()),
            Self::MessageTooLong { .. } | Self::BadMessage => Some("message".to_owned()),
            Self::BadRefName { .. } | Self::BadDatasetName { .. } => Some("name".to_owned()),
            Self::BadPageToken => Some("page_token".to_owned()),
            Self::VersionOrEdits => Some("version".to_owned()),
            Self::ExpectedWithoutTo => Some("expected".to_owned()),
            Self::BadHook { field, .. } => Some((*field).to_owned()),
            Self::Webhook(error) => error.field(),
            Self::QuickRepair => Some("quick".to_owned()),
            Self::DespiteMissingRemote => Some("despite_missing".to_owned()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let ignored = "or name it in .corlissignore";
        Some(match self {
            Self::LinkOutside { path } => {
                format!("copy what it points to into the folder in place of '{path}', {ignored}")
            }
            Self::LinkToFolder { path } => format!("put a real folder in place of '{path}', {ignored}"),
            Self::LinkBroken { path } => format!("remove '{path}', {ignored}"),
            Self::SpecialFile { path, .. } => format!("remove '{path}', {ignored}"),
            Self::DatasetNotFound { .. } => "list datasets with: corliss data list".to_owned(),
            Self::VersionNotFound { .. } => "list versions with: corliss data show NAME".to_owned(),
            Self::BlobMissing { .. } => "send it with POST /api/v1/data/blobs first".to_owned(),
            Self::TreeMissing { .. } => "send its records with POST /api/v1/data/pieces first".to_owned(),
            Self::RefNotFound { dataset, .. } => {
                format!("list branches and tags with: corliss data branches {dataset}")
            }
            Self::BranchMoved { .. } => {
                "look at what changed with `corliss data log`, then commit again or merge".to_owned()
            }
            Self::BranchProtected { branch } => {
                format!("commit to another branch and merge it, or unprotect '{branch}'")
            }
            Self::DefaultBranch { .. } => "delete the dataset to remove all of it".to_owned(),
            Self::NoCommit { .. } => "name a branch, a tag or a commit".to_owned(),
            Self::NotOneParent { .. } => "name a commit that is neither the first nor a merge".to_owned(),
            Self::Conflicts { .. } => {
                "choose a side with `--on-conflict ours` or `theirs`, or make them equal first".to_owned()
            }
            Self::Busy => "try again".to_owned(),
            Self::DuplicatePath { .. } => "name each path once".to_owned(),
            Self::PathConflict { path, .. } => format!("rename '{path}', or remove it in the same commit"),
            Self::VersionOrEdits => "send one of the two".to_owned(),
            Self::BadPageToken => "send next_page_token of the page before, or none for the first".to_owned(),
            Self::BadDatasetName { .. } => {
                "choose one that does not begin with v_ or c_ and six hex digits".to_owned()
            }
            Self::ExpectedWithoutTo => "send `to` with it".to_owned(),
            Self::QuickRepair => "leave out `quick`".to_owned(),
            Self::DespiteMissingRemote => {
                "leave out `despite_missing`, and push what is missing again".to_owned()
            }
            Self::CollectsItself { .. } => {
                "run `corliss data gc` there, with CORLISS_URL and CORLISS_TOKEN of that server".to_owned()
            }
            Self::Changed { .. } => "wait until nothing writes to the folder, then try again".to_owned(),
            Self::PathTwin { .. } => "rename one of them: other systems take them for one file".to_owned(),
            Self::BadTree { .. } => {
                "build it as docs/design/data.md says, or send a list of changes".to_owned()
            }
            Self::TreeDamaged { .. } | Self::Damaged { .. } => {
                "look for what is damaged with `corliss data check`; --repair-from REMOTE fetches it".to_owned()
            }
            Self::TooManyFiles { .. } => "pack small files together, or split the folder".to_owned(),
            Self::Ambiguous { .. } => "write more of it".to_owned(),
            Self::BadNode { .. } => "use kind:id, where kind is version, run, model or endpoint".to_owned(),
            Self::BadReference { .. } => "use name, name@branch, name@tag, name@v_…, v_… or c_…".to_owned(),
            Self::StorageFull => "free some space and try again".to_owned(),
            Self::Io { action, message, .. }
                if matches!(*action, "read" | "list" | "look at")
                    && message.starts_with("Permission denied") =>
            {
                format!("let it be read, {ignored}")
            }
            Self::Expired { .. } => "commit the same files again, or pull them from a remote".to_owned(),
            Self::Table(error) => return error.hint(),
            Self::Port(error) => return error.hint(),
            Self::RemoteNotFound { .. } => "list remotes with: corliss data remotes".to_owned(),
            Self::Remote { trouble, .. } => return trouble.hint().map(str::to_owned),
            Self::NotFastForward { branch, .. } => {
                format!(
                    "pull, merge '{branch}' and push again; or force it, and lose what only the receiver has"
                )
            }
            Self::CommitMissing { .. } => "send the commits before the names that point at them".to_owned(),
            Self::DatasetExists { .. } => "pull into it, or clone under another name".to_owned(),
            Self::TransferRunning { .. } | Self::UpkeepRunning { .. } => {
                "wait until it has ended, or cancel it".to_owned()
            }
            Self::SourceNotFound { .. } => {
                "list sources with: corliss data sources; the administrator adds one to config.toml"
                    .to_owned()
            }
            Self::Source { .. } => {
                "check the source's url, endpoint and credentials, and that they allow to list and read"
                    .to_owned()
            }
            Self::SourceChanged { .. } => "import it again, which takes it as it is now".to_owned(),
            Self::SourceEmpty { .. } => "name a folder or an object that is there".to_owned(),
            Self::ImportRefused { .. } => {
                "rename or remove them in the source, or import the folders beside them".to_owned()
            }
            Self::OperationNotFound { .. } => {
                "list them with `corliss data operations`; one that a restart forgot may be started again, and goes on"
                    .to_owned()
            }
            Self::FolderNotLent => {
                "lend it by the socket run/folders in the server's home, and keep the connection open"
                    .to_owned()
            }
            Self::HookRefused { .. } => "change what it objects to, then try again".to_owned(),
            Self::HookUnanswered { .. } => {
                "try again; or let an administrator disable it with `corliss data hooks set DATASET HOOK --disable`"
                    .to_owned()
            }
            Self::HookNotFound { .. } => "list hooks with: corliss data hooks list DATASET".to_owned(),
            Self::HookSecret { .. } => {
                "give it a new one with `corliss data hooks set DATASET HOOK --new-secret`".to_owned()
            }
            Self::Webhook(error) => return error.hint(),
            Self::Link { trouble, .. } => return trouble.hint(),
            Self::Blob(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            _ => return None,
        })
    }
}
