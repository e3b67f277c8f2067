//! Where things are kept when nobody says where.
//!
//! Invariant: a path is never guessed: without a home the command asks for `--data-dir`. Not here: what is
//! inside.

use crate::{cli::Place, failure::Failure, terminal::variable};
use std::path::{Path, PathBuf};

/// The data folder: the one that was named, else `rynjer` in the user's data folder.
pub(crate) fn data_dir(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let usual = || usual(&variable("XDG_DATA_HOME"), &variable("HOME"), &variable("LOCALAPPDATA"));
    let folder = named.map(Path::to_path_buf).or_else(usual).ok_or_else(|| {
        Failure::usage("there is no home folder to keep the data in").suggest("name one with --data-dir DIR")
    })?;
    // Commands that are shown to people work from any folder.
    Ok(std::path::absolute(&folder).unwrap_or(folder))
}

/// XDG says that a relative path there is to be ignored.
fn usual(xdg: &str, home: &str, local: &str) -> Option<PathBuf> {
    let absolute = |text: &str| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    let base = absolute(xdg)
        .or_else(|| absolute(local))
        .or_else(|| absolute(home).map(|home| home.join(".local").join("share")));
    base.map(|base| base.join("rynjer"))
}

/// How to name the same database in another command. A password is not repeated.
pub(crate) fn arguments(place: &Place, data_dir: &Path) -> String {
    match place.database() {
        Some(url) if url.contains('@') => "--database-url \"$RYNJER_DATABASE__URL\"".to_owned(),
        Some(url) => format!("--database-url {}", quoted(url)),
        None => format!("--data-dir {}", quoted(&data_dir.to_string_lossy())),
    }
}

/// The text as one word of a shell.
pub(crate) fn quoted(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "/._-:=+@,".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_place() {
        assert_eq!(usual("", "/home/a", ""), Some(PathBuf::from("/home/a/.local/share/rynjer")));
        assert_eq!(usual("/x", "/home/a", ""), Some(PathBuf::from("/x/rynjer")));
        assert_eq!(usual("x", "", ""), None);
    }

    #[test]
    fn words_of_a_shell() {
        assert_eq!(quoted("/a/b-c.d"), "/a/b-c.d");
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }
}
