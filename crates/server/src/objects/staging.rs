//! What uploads into a local folder, and staged files, left behind when their process was killed.
//!
//! Invariant: only files that the storage itself does not show are removed, and only old ones. Not here:
//! objects that no row names (`worker::sweep`).

use std::{
    fs::{self, Metadata, ReadDir},
    path::PathBuf,
    time::UNIX_EPOCH,
};

/// Removes unfinished files that are older; memory is bounded by the depth of the folders.
pub(super) async fn sweep(folder: PathBuf, oldest_ms: i64) {
    let swept = tokio::task::spawn_blocking(move || {
        let mut open: Vec<ReadDir> = fs::read_dir(folder).into_iter().collect();
        let mut removed = 0_u64;
        while let Some(entries) = open.last_mut() {
            let Some(entry) = entries.next() else {
                open.pop();
                continue;
            };
            let Ok(entry) = entry else { continue };
            // Of the entry itself: a link is not followed.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                open.extend(fs::read_dir(entry.path()));
            } else if is_unfinished(&entry.file_name().to_string_lossy())
                && modified_ms(&metadata).is_some_and(|at_ms| at_ms < oldest_ms)
            {
                removed += u64::from(fs::remove_file(entry.path()).is_ok());
            }
        }
        removed
    });
    match swept.await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "unfinished files of uploads were removed"),
        Err(error) => tracing::warn!(%error, "looking for unfinished files failed"),
    }
}

/// Names of files that are still being written end with `#` and a number.
fn is_unfinished(name: &str) -> bool {
    let number = name.rsplit_once('#').map_or("", |(_, number)| number);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn modified_ms(metadata: &Metadata) -> Option<i64> {
    let age = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(age.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::is_unfinished;

    #[test]
    fn names_of_unfinished_files() {
        for (name, expected) in
            [("0-0.png#1", true), ("a#12", true), ("a#", false), ("a#1b", false), ("0-0.png", false)]
        {
            assert_eq!(is_unfinished(name), expected, "{name}");
        }
    }
}
