//! What a model folder holds, decided before any native code sees a byte of it.
//!
//! A model file is somebody else's input: C++ and code generators below us abort or read out of bounds on
//! a torn one, a pickle runs code when opened, and a symbolic link reads any file of the machine. All of
//! that is refused here with the file's name. A folder may hold other files beside the model.

mod gguf;
mod onnx;
mod pickle;

use std::fs;
use std::path::{Path, PathBuf};

use crate::EngineError;
use corliss_model_format::{MLMODEL, declared};
use corliss_types::Flavor;

pub(crate) use gguf::GgufSummary;
pub(crate) use onnx::read as read_onnx;

/// A folder with more entries than this is not a model.
const MAX_ENTRIES: usize = 10_000;
const MAX_DEPTH: usize = 8;

/// The model file of a folder, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    /// Kind; never [`Flavor::Other`].
    pub flavor: Flavor,
    /// The file, as found under the folder that was given; that folder itself if it is Python's.
    pub path: PathBuf,
}

/// The kind of model in a folder: by file name first, then by content, so a pickle named `model.onnx` is
/// an error here and not a surprise when it is served. A folder without a servable model is `other`.
pub fn detect_flavor(dir: &Path) -> Result<Flavor, EngineError> {
    match locate(dir) {
        Ok(found) => Ok(found.flavor),
        Err(EngineError::ModelMissing { .. } | EngineError::ModelAmbiguous { .. }) => Ok(Flavor::Other),
        Err(EngineError::ModelIsPickle { file }) if !has_model_name(&file) => Ok(Flavor::Other),
        Err(error) => Err(error),
    }
}

/// Finds the one model of a folder (or takes the file that was given) and checks that it is whole.
pub fn locate(dir: &Path) -> Result<ModelFile, EngineError> {
    let files = list(dir)?;
    let model = match choose(&files) {
        // What an engine of ours loads comes first.
        Err(error) if !is_pythons(dir, &files) => return Err(error),
        Err(EngineError::ModelMissing { .. } | EngineError::ModelIsPickle { .. }) => ModelFile {
            flavor: Flavor::Pyfunc,
            path: dir.to_path_buf(),
        },
        chosen => chosen?,
    };
    check(&model)?;
    Ok(model)
}

/// Whether Python serves this folder, by MLflow's word. Whether it may load what lies there is not said by that.
fn is_pythons(dir: &Path, files: &[PathBuf]) -> bool {
    let file = dir.join(MLMODEL);
    files.contains(&file) && fs::read(file).is_ok_and(|text| declared(&text).python.is_some())
}

fn check(model: &ModelFile) -> Result<(), EngineError> {
    if model.flavor == Flavor::Pyfunc {
        return Ok(());
    }
    if pickle::is_pickle(&model.path)? {
        return Err(EngineError::ModelIsPickle {
            file: file_name(&model.path),
        });
    }
    match model.flavor {
        Flavor::Gguf => gguf::check(&model.path).map(|_| ()),
        _ => onnx::check(&model.path),
    }
}

/// Reads the header of a GGUF file.
pub(crate) fn summarise_gguf(path: &Path) -> Result<GgufSummary, EngineError> {
    gguf::check(path)
}

fn choose(files: &[PathBuf]) -> Result<ModelFile, EngineError> {
    let of = |extension: &str| -> Vec<&PathBuf> {
        files
            .iter()
            .filter(|path| has_extension(path, extension))
            .collect()
    };
    let (onnx, gguf) = (of("onnx"), of("gguf"));
    let (flavor, candidates, wanted) = match (onnx.is_empty(), gguf.is_empty()) {
        (false, true) => (Flavor::Onnx, onnx, ".onnx"),
        (true, false) => (Flavor::Gguf, gguf, ".gguf"),
        (true, true) => return Err(none_found(files)),
        (false, false) => {
            let found = onnx.iter().chain(&gguf).map(|path| file_name(path)).collect();
            return Err(EngineError::ModelAmbiguous {
                wanted: "model",
                found,
            });
        }
    };
    let chosen = match candidates.as_slice() {
        [only] => Some(*only),
        several => several
            .iter()
            .copied()
            .find(|path| path.file_stem().is_some_and(|stem| stem == "model")),
    };
    match chosen {
        Some(path) => Ok(ModelFile {
            flavor,
            path: path.clone(),
        }),
        None => Err(EngineError::ModelAmbiguous {
            wanted,
            found: candidates.iter().map(|path| file_name(path)).collect(),
        }),
    }
}

fn none_found(files: &[PathBuf]) -> EngineError {
    if let Some(file) = files.iter().find(|path| pickle::is_pickle(path).unwrap_or(false)) {
        return EngineError::ModelIsPickle {
            file: file_name(file),
        };
    }
    EngineError::ModelMissing {
        wanted: ".onnx, .gguf or MLmodel",
        found: files.iter().take(5).map(|path| file_name(path)).collect(),
    }
}

/// Every regular file under the folder, in order of name; refuses links that lead out of it.
fn list(dir: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let read = |source| {
        EngineError::io(
            format!("cannot read the model folder '{}'", dir.display()),
            source,
        )
    };
    let root = dir.canonicalize().map_err(read)?;
    if root.is_file() {
        return Ok(vec![dir.to_path_buf()]);
    }
    let mut files = Vec::new();
    let mut folders = vec![(dir.to_path_buf(), 0)];
    let mut entries = 0;
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            entries += 1;
            if entries > MAX_ENTRIES || depth > MAX_DEPTH {
                return Err(EngineError::ModelUnsupported {
                    detail: format!("the folder has more than {MAX_ENTRIES} entries or is too deep"),
                });
            }
            let target = path.canonicalize().map_err(read)?;
            if !target.starts_with(&root) {
                return Err(EngineError::ModelEscapes {
                    file: file_name(&path),
                });
            }
            match fs::symlink_metadata(&path).map_err(read)?.file_type() {
                kind if kind.is_dir() => folders.push((path, depth + 1)),
                _ if target.is_file() => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn has_model_name(file: &str) -> bool {
    has_extension(Path::new(file), "onnx") || has_extension(Path::new(file), "gguf")
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests;
