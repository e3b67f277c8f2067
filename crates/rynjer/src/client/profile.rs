//! Saved profiles: one file each, with a gateway's address and a credential for it.
//!
//! Invariant: a profile's file has mode 600 in a folder of mode 700 and is replaced as a whole; one that
//! others can read is not used. Not here: which profile a command takes (`session`).

use crate::{failure::Failure, folder::quoted, terminal::variable};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

/// The profile that is used when nobody names one.
pub(super) const USUAL: &str = "default";
const NAME_MAX: usize = 64;

/// A gateway, and who we are there. Never printed as a whole.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) base_url: String,
    /// The long-lived key; none while an agent is not bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) api_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<Identity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<Token>,
}

/// An agent that was registered from here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) agent_id: String,
    pub(super) agent_name: String,
    pub(super) private_key: String,
    /// The proof that makes the first key; empty once there is one.
    #[serde(default)]
    pub(super) registration_code: String,
    #[serde(default)]
    pub(super) bind_url: String,
}

/// A short-lived token and its successor.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) access_token: String,
    pub(super) expires_at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<String>,
}

/// `rynjer` in the user's configuration folder.
pub(super) fn folder() -> Result<PathBuf, Failure> {
    let absolute = |text: String| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    let base = absolute(variable("XDG_CONFIG_HOME"))
        .or_else(|| absolute(variable("APPDATA")))
        .or_else(|| absolute(variable("HOME")).map(|home| home.join(".config")));
    base.map(|base| base.join("rynjer")).ok_or_else(|| {
        Failure::usage("there is no home folder to keep profiles in")
            .suggest("set HOME, or set RYNJER_BASE_URL and RYNJER_AGENT_API_KEY instead of a profile")
    })
}

/// The file of a profile.
pub(super) fn path(name: &str) -> Result<PathBuf, Failure> {
    let safe = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > NAME_MAX || name.starts_with('.') || !name.chars().all(safe) {
        return Err(Failure::usage(format!("{name:?} is no name of a profile"))
            .suggest("use letters, digits, dots, dashes and underscores, at most 64"));
    }
    Ok(folder()?.join("profiles").join(format!("{name}.toml")))
}

/// Reads a profile; none if it was never saved.
pub(super) fn load(name: &str) -> Result<Option<Profile>, Failure> {
    let path = path(name)?;
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::failed(format!("can't read the profile {}: {error}", path.display()))
    };
    let text = match File::open(&path) {
        Ok(mut file) => {
            refuse_open_to_others(&path, &file)?;
            let mut text = String::new();
            std::io::Read::read_to_string(&mut file, &mut text).map_err(|error| unreadable(&error))?;
            text
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&error)),
    };
    // The parser's message may quote the line, and the line may be a key.
    let parsed = toml::from_str(&text).map_err(|error| unreadable(&error.message()));
    parsed.map(Some).map_err(|failure| failure.suggest("save it again with `rynjer login`"))
}

#[cfg(unix)]
fn refuse_open_to_others(path: &Path, file: &File) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let message = format!("others on this machine can read the profile {} (mode {mode:o})", path.display());
    let command = format!("chmod 600 {}", quoted(&path.to_string_lossy()));
    Err(Failure::failed(message).coded("profile_open").suggest(format!("close it with `{command}`")))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn refuse_open_to_others(_path: &Path, _file: &File) -> Result<(), Failure> {
    Ok(())
}

/// Saves a profile in place of the one before.
pub(super) fn save(name: &str, profile: &Profile) -> Result<(), Failure> {
    let path = path(name)?;
    let text = toml::to_string(profile)
        .map_err(|error| Failure::failed(format!("can't write the profile {name}: {error}")))?;
    write(&path, &text)
}

/// Forgets a profile; whether there was one.
pub(super) fn remove(name: &str) -> Result<bool, Failure> {
    let path = path(name)?;
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::failed(format!("can't remove {}: {error}", path.display()))),
    }
}

/// The names of all profiles, in order.
pub(super) fn names() -> Result<Vec<String>, Failure> {
    let folder = folder()?.join("profiles");
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let files = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> =
        files.filter_map(|file| file.strip_suffix(".toml").map(str::to_owned)).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}

/// The profile that is used when nobody names one.
pub(super) fn current() -> String {
    let chosen = folder().ok().and_then(|folder| fs::read_to_string(folder.join("current")).ok());
    let chosen = chosen.map(|text| text.trim().to_owned()).filter(|name| path(name).is_ok());
    chosen.unwrap_or_else(|| USUAL.to_owned())
}

/// Makes a profile the one that is used when nobody names one.
pub(super) fn choose(name: &str) -> Result<(), Failure> {
    write(&folder()?.join("current"), &format!("{name}\n"))
}

/// Holds a profile against other processes until the value is dropped.
pub(super) fn hold(name: &str) -> Result<File, Failure> {
    let path = path(name)?.with_extension("lock");
    let failed = |error| Failure::failed(format!("can't lock {}: {error}", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("can't write {}: {error}", path.display()));
    let folder = path.parent().unwrap_or(Path::new("."));
    make(folder).map_err(failed)?;
    // Its mode is 600 from the beginning.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|refused| failed(refused.error))?;
    Ok(())
}

fn make(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
