//! A version folder by folder.

use corliss_types::VersionId;

use super::DataService;
use super::merge::root;
use crate::DataError;
use crate::error::shortened;
use crate::tree::Cursor;
use crate::types::FolderItem;

impl DataService {
    /// What lies in a folder of a version, `""` being the version itself: by name, folders as if theirs ended in
    /// `/`, from after the name `after` on.
    ///
    /// # Errors
    /// There is no such version or folder, or a store failed.
    pub async fn folder(
        &self,
        version: &VersionId,
        folder: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<FolderItem>, DataError> {
        self.kept(version).await?;
        let folder = folder.trim_matches('/');
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let root = root(version)?;
        let mut cursor = self.reader.cursor(root).await?;
        let mut sums = self.reader.cursor(root).await?;
        // Past the file of this name, or past everything in the folder of this name.
        let start = match (after, after.strip_suffix('/')) {
            ("", _) => prefix.clone(),
            (_, Some(folder)) => format!("{prefix}{folder}0"),
            (file, None) => format!("{prefix}{file}\0"),
        };
        cursor.seek(&start).await?;
        let mut items: Vec<FolderItem> = Vec::new();
        while items.len() < limit
            && let Some(entry) = cursor.next_entry().await?
        {
            let Some(rest) = entry.path.as_str().strip_prefix(&prefix) else {
                break;
            };
            let item = match rest.split_once('/') {
                None => FolderItem {
                    name: rest.to_owned(),
                    files: 1,
                    size_bytes: entry.size_bytes,
                    file: Some(entry),
                },
                Some((name, _)) => {
                    let item = totals(&mut sums, &format!("{prefix}{name}"), name).await?;
                    // '0' follows '/'.
                    cursor.seek(&format!("{prefix}{name}0")).await?;
                    item
                }
            };
            items.push(item);
        }
        if items.is_empty() && after.is_empty() && !folder.is_empty() {
            return Err(DataError::FileNotFound {
                version: version.clone(),
                path: shortened(folder),
            });
        }
        Ok(items)
    }
}

async fn totals(cursor: &mut Cursor, folder: &str, name: &str) -> Result<FolderItem, DataError> {
    let (files_before, bytes_before) = cursor.seek(&format!("{folder}/")).await?;
    let (files, bytes) = cursor.seek(&format!("{folder}0")).await?;
    Ok(FolderItem {
        name: name.to_owned(),
        file: None,
        files: files.saturating_sub(files_before),
        size_bytes: bytes.saturating_sub(bytes_before),
    })
}
