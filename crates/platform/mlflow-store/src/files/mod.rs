//! A store of MLflow in a folder of files, as `mlruns` is: a folder for each experiment, in it one for each run, in it a
//! file for each metric, parameter and tag. A `/` in a name makes a folder.

mod folder;
mod history;
mod meta;
mod place;
mod registry;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::error::SourceError;
use crate::model::{Dataset, Experiment, LoggedModel, ModelLink, ModelVersion, RegisteredModel, Run};
use crate::source::{Each, MlflowStore, Remark, Remarks};
use folder::{files_under, folders_in, pairs, read_text};
use meta::Meta;
use place::artifacts_of;

/// What describes a thing, in its folder.
const META: &str = "meta.yaml";
/// Where deleted experiments lie.
const TRASH: &str = ".trash";
/// Folders of an experiment that are no runs, and the folder of the root that is no experiment.
const DATASETS: &str = "datasets";
const MODELS: &str = "models";
const TRACES: &str = "traces";

/// A store in a folder.
pub(crate) struct FileStore {
    root: PathBuf,
    /// Where each experiment lies.
    places: BTreeMap<String, PathBuf>,
    remarks: Remarks,
}

impl FileStore {
    /// Looks for experiments.
    pub fn open(root: &Path) -> Result<Self, SourceError> {
        let mut places = BTreeMap::new();
        let mut remarks = Remarks::default();
        for folder in [root.to_owned(), root.join(TRASH)] {
            if folder != root && !folder.is_dir() {
                continue;
            }
            for (name, path) in folders_in(&folder)? {
                if name == MODELS || name.starts_with('.') {
                    continue;
                }
                match path.join(META).is_file() {
                    true => drop(places.insert(name, path)),
                    false => remarks.add(without_meta("experiment", &path)),
                }
            }
        }
        if places.is_empty() {
            return Err(SourceError::Nothing {
                path: root.to_owned(),
                what: "experiment of MLflow (no folder with a meta.yaml)",
            });
        }
        Ok(Self {
            root: root.to_owned(),
            places,
            remarks,
        })
    }

    fn place(&self, experiment: &str) -> Option<PathBuf> {
        self.places.get(experiment).cloned()
    }

    /// What can be read of these; the others are left out, and told by their name.
    fn readable<T, R>(
        &mut self,
        things: impl IntoIterator<Item = T>,
        name: impl Fn(&T) -> String,
        read: impl Fn(&mut Remarks, T) -> Result<R, SourceError>,
    ) -> Result<Vec<R>, SourceError> {
        let mut found = Vec::new();
        for thing in things {
            let name = name(&thing);
            match read(&mut self.remarks, thing) {
                Ok(one) => found.push(one),
                Err(error) => self.remarks.leave_out(&name, error)?,
            }
        }
        Ok(found)
    }
}

impl MlflowStore for FileStore {
    fn remarks(&mut self) -> Vec<Remark> {
        self.remarks.take()
    }

    fn experiments(&mut self) -> Result<Vec<Experiment>, SourceError> {
        let mut found = self.readable(
            self.places.clone(),
            |(id, _)| format!("experiment {id}"),
            |_, (id, path)| {
                let meta = Meta::read(&path.join(META))?;
                Ok(Experiment {
                    id,
                    name: meta.text("name")?,
                    is_deleted: meta.is_deleted()
                        || path.parent().is_some_and(|parent| parent.ends_with(TRASH)),
                    created_ms: meta.opt_integer("creation_time")?,
                    updated_ms: meta.opt_integer("last_update_time")?,
                    tags: pairs(&path.join("tags"))?,
                })
            },
        )?;
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    fn run_ids(&mut self, experiment: &str) -> Result<Vec<String>, SourceError> {
        let Some(place) = self.place(experiment) else {
            return Ok(Vec::new());
        };
        let mut ids = Vec::new();
        let folders = match folders_in(&place) {
            Ok(folders) => folders,
            Err(error) => {
                self.remarks
                    .leave_out(&format!("experiment {experiment}"), error)?;
                return Ok(ids);
            }
        };
        for (name, path) in folders {
            if [DATASETS, MODELS, TRACES, "tags"].contains(&name.as_str()) || name.starts_with('.') {
                continue;
            }
            match path.join(META).is_file() {
                true => ids.push(name),
                false => self.remarks.add(without_meta("run", &path)),
            }
        }
        Ok(ids)
    }

    fn runs(&mut self, experiment: &str, ids: &[String]) -> Result<Vec<Run>, SourceError> {
        let Some(place) = self.place(experiment) else {
            return Ok(Vec::new());
        };
        let there = ids.iter().filter(|id| place.join(id).is_dir());
        let root = self.root.clone();
        self.readable(there, |id| format!("run {id}"), |_, id| run(&root, &place, id))
    }

    fn points(&mut self, experiment: &str, run: &str, each: &mut Each<'_>) -> Result<(), SourceError> {
        let Some(place) = self.place(experiment) else {
            return Ok(());
        };
        for (key, path) in files_under(&place.join(run).join("metrics"))? {
            let history = history::read(&path, &key)?;
            if history.unfinished {
                self.remarks.add(Remark::Unfinished(path));
            }
            for point in history.points {
                if let ControlFlow::Break(()) = each(point) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn logged_models(&mut self, experiment: &str) -> Result<Vec<LoggedModel>, SourceError> {
        let Some(models) = self.place(experiment).map(|place| place.join(MODELS)) else {
            return Ok(Vec::new());
        };
        if !models.is_dir() {
            return Ok(Vec::new());
        }
        let root = self.root.clone();
        self.readable(
            folders_in(&models)?,
            |(id, _)| format!("logged model {id}"),
            |remarks, (id, path)| logged_model(remarks, &root, id, &path),
        )
    }

    fn registered_models(&mut self) -> Result<Vec<RegisteredModel>, SourceError> {
        let folder = self.root.join(MODELS);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut found = self.readable(
            folders_in(&folder)?,
            |(name, _)| format!("registered model '{name}'"),
            |_, (_, path)| registry::model(&path),
        )?;
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    fn versions(&mut self, model: &str) -> Result<Vec<ModelVersion>, SourceError> {
        // A model's folder has its name: MLflow allows none that would be another path.
        let folders = folders_in(&self.root.join(MODELS).join(model))?.into_iter();
        let found = self.readable(
            folders.filter(|(name, _)| name.starts_with(registry::VERSION)),
            |(name, _)| format!("{name} of model '{model}'"),
            |_, (_, path)| registry::version(&path),
        )?;
        let mut found: Vec<ModelVersion> = found.into_iter().flatten().collect();
        found.sort_by_key(|version| version.version);
        Ok(found)
    }
}

fn without_meta(what: &str, folder: &Path) -> Remark {
    Remark::LeftOut(format!(
        "{}: it has no {META}, without which it is no {what}",
        folder.display()
    ))
}

/// A run without its points.
fn run(root: &Path, experiment: &Path, id: &str) -> Result<Run, SourceError> {
    let folder = experiment.join(id);
    let meta = Meta::read(&folder.join(META))?;
    Ok(Run {
        run_id: id.to_owned(),
        name: meta
            .opt_text("run_name")
            .or_else(|| meta.opt_text("name"))
            .unwrap_or_default(),
        user: meta.opt_text("user_id").unwrap_or_default(),
        status: meta.status()?,
        start_ms: meta.opt_integer("start_time")?.unwrap_or_default(),
        end_ms: meta.opt_integer("end_time")?,
        is_deleted: meta.is_deleted(),
        deleted_ms: meta.opt_integer("deleted_time")?,
        artifact_uri: artifacts_of(root, &folder, meta.opt_text("artifact_uri")),
        params: pairs(&folder.join("params"))?,
        tags: tags_of(&folder, &meta)?,
        datasets: datasets(experiment, &folder)?,
        models: links(&folder)?,
    })
}

/// Tags of a run; older stores have its name only in its description.
fn tags_of(folder: &Path, meta: &Meta) -> Result<Vec<crate::Pair>, SourceError> {
    const NAME: &str = "mlflow.runName";
    let mut tags = pairs(&folder.join("tags"))?;
    let name = meta.opt_text("run_name").or_else(|| meta.opt_text("name"));
    if let Some(name) = name.filter(|name| !name.is_empty() && tags.iter().all(|tag| tag.key != NAME)) {
        tags.push(crate::Pair::new(NAME, name));
        tags.sort();
    }
    Ok(tags)
}

/// The datasets that a run read: each input names one that its experiment keeps.
fn datasets(experiment: &Path, run: &Path) -> Result<Vec<Dataset>, SourceError> {
    let inputs = run.join("inputs");
    if !inputs.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (_, path) in folders_in(&inputs)? {
        let link = Meta::read(&path.join(META))?;
        if link.text("source_type")? != "DATASET" {
            continue;
        }
        let file = experiment.join(DATASETS).join(link.text("source_id")?).join(META);
        let dataset = Meta::read(&file)?;
        found.push(Dataset {
            name: dataset.text("name")?,
            digest: dataset.text("digest")?,
            source_type: dataset.text("source_type")?,
            source: dataset.text("source")?,
            schema: dataset.opt_text("schema"),
            profile: dataset.opt_text("profile"),
            tags: link.pairs("tags"),
        });
    }
    found.sort_by(|one, other| (&one.name, &one.digest).cmp(&(&other.name, &other.digest)));
    Ok(found)
}

/// The logged models that a run read or made.
fn links(run: &Path) -> Result<Vec<ModelLink>, SourceError> {
    let mut found = Vec::new();
    for (folder, kind, output) in [
        ("inputs", "MODEL_INPUT", false),
        ("outputs", "MODEL_OUTPUT", true),
    ] {
        let folder = run.join(folder);
        if !folder.is_dir() {
            continue;
        }
        for (_, path) in folders_in(&folder)? {
            let link = Meta::read(&path.join(META))?;
            if link.text("destination_type")? == kind {
                found.push(ModelLink {
                    model_id: link.text("destination_id")?,
                    output,
                    step: link.opt_integer("step")?.unwrap_or_default(),
                });
            }
        }
    }
    Ok(found)
}

fn logged_model(
    remarks: &mut Remarks,
    root: &Path,
    id: String,
    folder: &Path,
) -> Result<LoggedModel, SourceError> {
    let meta = Meta::read(&folder.join(META))?;
    let created_ms = meta.opt_integer("creation_timestamp")?.unwrap_or_default();
    let mut metrics = Vec::new();
    for (key, path) in files_under(&folder.join("metrics"))? {
        let history = history::read_of_model(&path, &key)?;
        if history.unfinished {
            remarks.add(Remark::Unfinished(path));
        }
        metrics.extend(history.points);
    }
    Ok(LoggedModel {
        model_id: id,
        name: meta.text("name")?,
        model_type: meta.opt_text("model_type").unwrap_or_default(),
        source_run_id: meta.opt_text("source_run_id").unwrap_or_default(),
        status: meta.opt_integer("status")?.unwrap_or(1),
        is_deleted: meta.is_deleted(),
        created_ms,
        updated_ms: meta.opt_integer("last_updated_timestamp")?.unwrap_or(created_ms),
        artifact_uri: artifacts_of(root, folder, meta.opt_text("artifact_location")),
        params: pairs(&folder.join("params"))?,
        tags: pairs(&folder.join("tags"))?,
        metrics,
    })
}

/// The text of a small file without the newline that some writers put behind it.
fn line(path: &Path) -> Result<String, SourceError> {
    Ok(read_text(path)?.trim_end_matches('\n').to_owned())
}
