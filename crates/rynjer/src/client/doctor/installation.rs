//! An operator's checks: settings, folder, database, keys, prices, disk, bucket, port.
//!
//! Invariant: a running gateway is not disturbed, and nothing is made that was not there. Not here: the
//! client's side (`gateway`).

use super::Checks;
use crate::{
    cli::{Place, Role, Serve, client::Doctor},
    failure::Failure,
    folder,
    serve::settings,
    words::{count, size},
};
use rynjer_api::Client;
use rynjer_server::{DataDirError, checkup, config::Config};
use rynjer_store::{Database, StoreError, inspect, latest_schema};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

/// A disk with less room than this will be full soon.
const LEAST_FREE_BYTES: u64 = 1_000_000_000;

/// Runs all checks.
pub(super) async fn check(arguments: &Doctor, checks: &mut Checks) -> Result<(), Failure> {
    let serve = serve(arguments);
    let loaded = settings::load(&serve)
        .map_err(|failure| failure.coded("config_invalid").suggest("correct it, then run doctor again"))?;
    let config = loaded.config;
    let settings = match loaded.warnings.first() {
        Some(warning) => format!("usable, but {warning}"),
        None => "usable".to_owned(),
    };
    checks.pass("settings", settings);
    let own_database = config.database.url.is_empty();
    let data_dir = folder::data_dir(arguments.place.data_dir.as_deref())?;
    let place = folder::arguments(&arguments.place, &data_dir);
    usable_folder(&data_dir, &place)?;
    let held = own_database && checkup::is_held(&data_dir).map_err(|error| unusable(&error))?;
    checks.pass("folder", format!("{} can be written to", data_dir.display()));
    let at = checkup::database(&data_dir, config.database.url.expose())?;
    let inspection = database(at, &place, checks).await?;
    let key = master_key(&data_dir)?;
    match key {
        Some((key, from)) if !checkup::opens(&inspection.secrets, &key) => {
            return Err(Failure::failed(format!(
                "{from} does not open the stored keys of this installation"
            ))
            .coded("master_key_wrong")
            .suggest("use the master key that this installation was made with; look in its backups"));
        }
        None if !inspection.secrets.is_empty() => {
            return Err(Failure::failed(
                "there is no master key, but the database holds keys sealed with one",
            )
            .coded("master_key_missing")
            .suggest("bring back master.key, or set RYNJER_MASTER_KEY; without it tokens and links die"));
        }
        Some((_, from)) => checks.pass("master key", format!("{from} opens the stored keys")),
        None => checks.pass("master key", "will be made at the first start"),
    }
    if let Some((version, differences)) = checkup::price_differences(&config, &data_dir, &inspection)? {
        return Err(Failure::failed(format!("the prices of version {version} were changed: {differences}"))
            .coded("prices_changed")
            .suggest("prices of a version never change: give the new ones a new version name"));
    }
    checks.pass(
        "prices",
        count(inspection.prices.len(), "stored version is", "stored versions are") + " as in the catalog",
    );
    disk(&data_dir, checks)?;
    object_storage(&config, &data_dir, checks).await?;
    let named = arguments.reach.base_url.as_deref();
    if held
        && let Some(base_url) = named
        && is_rynjer(base_url).await
    {
        checks.pass("port", format!("a gateway runs at {base_url}"));
        return Ok(());
    }
    port(&config, held, &data_dir, checks).await
}

fn serve(arguments: &Doctor) -> Serve {
    Serve {
        place: Place { data_dir: None, database_url: arguments.place.database_url.clone() },
        listen: None,
        config: arguments.config.clone(),
        role: Role::All,
        rate_limits: None,
        test_clock: false,
        print_config: false,
        tls_cert: None,
        tls_key: None,
        behind_proxy: false,
        public_url: None,
        metrics_listen: None,
    }
}

fn unusable(error: &DataDirError) -> Failure {
    Failure::failed(error.to_string()).coded("folder_unusable")
}

fn usable_folder(data_dir: &Path, place: &str) -> Result<(), Failure> {
    if !data_dir.exists() {
        return Err(Failure::failed(format!("there is no installation at {}", data_dir.display()))
            .coded("not_installed")
            .suggest(format!("`rynjer serve {place}` makes one; or correct --data-dir")));
    }
    // The one sure proof is to write; the file has no name that anybody uses.
    let tried = tempfile::Builder::new().prefix(".doctor-").tempfile_in(data_dir);
    tried.map(drop).map_err(|error| {
        Failure::failed(format!("the data folder {} can't be written to: {error}", data_dir.display()))
            .coded("folder_unusable")
            .suggest("give it to the user that runs the gateway, or choose another with --data-dir")
    })
}

/// What a database is made of.
#[derive(Clone, Copy)]
enum Kind {
    File,
    Server,
}

async fn database(at: Database, place: &str, checks: &mut Checks) -> Result<inspect::Inspection, Failure> {
    let name = match &at {
        Database::Sqlite(path) if !path.exists() => {
            return Err(Failure::failed(format!("there is no database at {}", path.display()))
                .coded("not_installed")
                .suggest(format!(
                    "`rynjer serve {place}` makes one; `rynjer admin restore` brings back a backup"
                )));
        }
        Database::Sqlite(path) => path.display().to_string(),
        Database::Postgres(_) => "on PostgreSQL".to_owned(),
    };
    let (kind, advice) = match &at {
        Database::Sqlite(_) => (Kind::File, "see whose file it is, and whether the disk is well"),
        Database::Postgres(_) => {
            (Kind::Server, "see whether the server runs, what this user may do, and the URL's sslmode")
        }
    };
    let damaged = |what: &str| {
        Failure::failed(format!("the database {name} is damaged: {what}")).coded("database_damaged").suggest(
            "stop the gateway, keep a copy of the folder, then `rynjer admin restore` the last backup",
        )
    };
    let looked = tokio::task::spawn_blocking(move || inspect::inspect(&at)).await;
    let inspection = match looked.map_err(|error| Failure::failed(error.to_string()))? {
        Ok(inspection) => inspection,
        Err(StoreError::Unavailable(why)) => {
            let message = format!("the database {name} can't be read: {why}");
            return Err(Failure::failed(message).suggest(advice));
        }
        Err(error @ StoreError::Corrupt(_)) if matches!(kind, Kind::File) => {
            return Err(damaged(&error.to_string()));
        }
        Err(error) => {
            return Err(Failure::failed(format!("the database {name}: {error}")).suggest(advice));
        }
    };
    if let Some(damage) = &inspection.damage {
        return Err(damaged(damage));
    }
    let newest = latest_schema();
    if !inspection.takes_this_program {
        let message = format!("the database has schema {}, this program knows {newest}", inspection.schema);
        return Err(Failure::failed(message).coded("schema_too_new").suggest("use the newer program"));
    }
    let note = if inspection.schema < newest { ", brought up to date at the next start" } else { "" };
    let sound = match kind {
        Kind::File => "every page is sound",
        Kind::Server => "the server flushes what it commits",
    };
    checks.pass("database", format!("{sound}, schema {}{note}", inspection.schema));
    Ok(inspection)
}

/// The master key and where it is from.
fn master_key(data_dir: &Path) -> Result<Option<([u8; 32], String)>, Failure> {
    if let Some(key) = settings::master_key()? {
        return Ok(Some((key, "RYNJER_MASTER_KEY".to_owned())));
    }
    let path = checkup::master_key_file(data_dir);
    refuse_open_to_others(&path)?;
    let key = checkup::master_key(data_dir)
        .map_err(|error| Failure::failed(error.to_string()).coded("master_key_wrong"))?;
    Ok(key.map(|key| (key, path.display().to_string())))
}

#[cfg(unix)]
fn refuse_open_to_others(path: &PathBuf) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let command = format!("chmod 600 {}", folder::quoted(&path.to_string_lossy()));
    Err(Failure::failed(format!("others on this machine can read {} (mode {mode:o})", path.display()))
        .coded("master_key_open")
        .suggest(format!("close it with `{command}`")))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn refuse_open_to_others(_path: &PathBuf) -> Result<(), Failure> {
    Ok(())
}

/// Room on the disk, as `df` of POSIX tells it; a system without it is not asked.
fn disk(data_dir: &Path, checks: &mut Checks) -> Result<(), Failure> {
    let Ok(output) = Command::new("df").arg("-Pk").arg(data_dir).output() else { return Ok(()) };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let free = text.lines().nth(1).and_then(|line| line.split_ascii_whitespace().nth(3)?.parse::<u64>().ok());
    let Some(free_bytes) = free.map(|blocks| blocks.saturating_mul(1024)) else { return Ok(()) };
    if free_bytes < LEAST_FREE_BYTES {
        return Err(Failure::failed(format!(
            "the disk of {} has {} left",
            data_dir.display(),
            size(free_bytes)
        ))
        .coded("disk_full")
        .suggest("make room, or move the data folder: without room nothing is accepted"));
    }
    checks.pass("disk", format!("{} free", size(free_bytes)));
    Ok(())
}

/// The bucket of outputs, if they go to one.
async fn object_storage(config: &Config, data_dir: &Path, checks: &mut Checks) -> Result<(), Failure> {
    let tried = checkup::object_storage(config, data_dir).await.map_err(|error| {
        Failure::failed(error.to_string())
            .coded("object_storage")
            .suggest("correct the section [storage]; the gateway does not start without it")
    })?;
    if let Some(url) = tried {
        checks.pass("storage", format!("{url} takes, gives and deletes objects"));
    }
    Ok(())
}

/// Whether the address is free, or taken by the gateway of this very folder.
async fn port(config: &Config, held: bool, data_dir: &Path, checks: &mut Checks) -> Result<(), Failure> {
    let listen = config.server.listen;
    let bound = TcpListener::bind(listen);
    match (bound, held) {
        (Ok(_), false) => {
            checks.pass("port", format!("{listen} is free"));
            Ok(())
        }
        (Ok(_), true) => {
            let message = format!(
                "another process holds the data folder {}, and nothing listens on {listen}",
                data_dir.display()
            );
            Err(Failure::failed(message)
                .coded("folder_held")
                .suggest("if that is the gateway, name its address with --base-url; else stop it first"))
        }
        (Err(_), true) => {
            let scheme = if config.server.tls_cert.is_some() { "https" } else { "http" };
            // A certificate is for the public name, so over HTTPS the lock and the port have to do.
            let answers = scheme == "https" || is_rynjer(&format!("http://{listen}")).await;
            if answers {
                checks.pass("port", format!("a gateway runs on {listen}"));
                return Ok(());
            }
            Err(Failure::failed(format!(
                "a gateway holds the folder, but something else answers on {listen}"
            ))
            .coded("port_taken")
            .suggest("name the settings that the gateway runs with by --config"))
        }
        (Err(_), false) if is_rynjer(&format!("http://{listen}")).await => {
            checks.pass("port", format!("a gateway runs on {listen}"));
            Ok(())
        }
        (Err(error), false) => Err(Failure::failed(format!("{listen} can't be listened on: {error}"))
            .coded("port_taken")
            .suggest("stop the program that has it, or choose another address with server.listen")),
    }
}

async fn is_rynjer(base_url: &str) -> bool {
    let Ok(client) = Client::new(base_url) else { return false };
    let probe = client.probe("/v1/me").await;
    probe.is_ok_and(|probe| String::from_utf8_lossy(&probe.body).contains("missing_credentials"))
}
