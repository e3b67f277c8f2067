//! `cargo xtask release`: the program as it is given away, with sums, a list of its parts and the deployment
//! files, and a check of all that.
//!
//! Invariant: the same tree gives the same archive around the program, and nothing is told to be good that
//! was not read back. Not here: signing and uploading.

use crate::sbom;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What goes into the archive beside the program and its list of parts.
const BESIDE: [&str; 6] =
    ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "deploy", "docs/OPERATING.md"];

/// What is made.
struct Release {
    name: String,
    version: String,
    out: PathBuf,
}

/// Makes a release in `--out DIR` (default `target/out`), with the profile of `--profile` (default `dist`).
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let mut out = PathBuf::from("target/out");
    let mut profile = "dist".to_owned();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--out" => out = PathBuf::from(value),
            "--profile" => profile.clone_from(value),
            other => return Err(format!("release does not know {other}").into()),
        }
    }
    let target = target()?;
    let metadata =
        run_text("cargo", &["metadata", "--format-version", "1", "--locked", "--filter-platform", &target])?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let built = build(&metadata, &profile)?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let package = packages.iter().find(|package| package["name"] == "rynjer").ok_or("no package rynjer")?;
    let version = package["version"].as_str().unwrap_or_default().to_owned();
    let release = Release { name: format!("rynjer-{version}-{target}"), version, out };
    fs::create_dir_all(&release.out)?;
    fs::copy(built, release.program())?;
    let document = sbom::document(&metadata, &fs::read_to_string("Cargo.lock")?, "rynjer")?;
    fs::write(release.parts(), format!("{}\n", serde_json::to_string_pretty(&document)?))?;
    release.archive()?;
    release.sums()?;
    release.verify()?;
    release.tell(&document)
}

impl Release {
    fn file(&self, end: &str) -> PathBuf {
        self.out.join(format!("{}{end}", self.name))
    }

    fn program(&self) -> PathBuf {
        self.file("")
    }

    fn parts(&self) -> PathBuf {
        self.file(".cdx.json")
    }

    fn packed(&self) -> PathBuf {
        self.file(".tar.gz")
    }

    /// One folder in one archive; names sorted, times those of the commit, owners nobody.
    fn archive(&self) -> Result<(), Failure> {
        let staging = tempfile::tempdir()?;
        let folder = staging.path().join(&self.name);
        fs::create_dir(&folder)?;
        fs::copy(self.program(), folder.join("rynjer"))?;
        fs::copy(self.parts(), folder.join("rynjer.cdx.json"))?;
        for name in BESIDE {
            let to = folder.join(Path::new(name).parent().unwrap_or(Path::new("")));
            fs::create_dir_all(&to)?;
            run_text("cp", &["-R", name, &to.to_string_lossy()])?;
        }
        let time = run_text("git", &["log", "-1", "--format=%ct"]).unwrap_or_else(|_| "0".to_owned());
        let time = format!("--mtime=@{}", time.trim());
        let plain = self.file(".tar");
        let (from, to) = (staging.path().to_string_lossy(), plain.to_string_lossy());
        let owners = ["--owner=0", "--group=0", "--numeric-owner", "--mode=u+rwX,go+rX,go-w"];
        let mut arguments = vec!["--sort=name", "--format=gnu", &time];
        arguments.extend(owners);
        arguments.extend(["-C", &from, "-cf", &to, &self.name]);
        run_text("tar", &arguments)?;
        run_text("gzip", &["-n", "-9", "-f", &to]).map(drop)
    }

    /// In the form that `sha256sum -c` reads.
    fn sums(&self) -> Result<(), Failure> {
        let mut lines = String::new();
        for path in [self.program(), self.parts(), self.packed()] {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            lines.push_str(&format!("{}  {name}\n", sha256(&path)?));
        }
        Ok(fs::write(self.out.join("SHA256SUMS"), lines)?)
    }

    /// Reads everything back as its receiver would.
    fn verify(&self) -> Result<(), Failure> {
        for line in fs::read_to_string(self.out.join("SHA256SUMS"))?.lines() {
            let (sum, name) = line.split_once("  ").ok_or("SHA256SUMS has a line of another form")?;
            if sha256(&self.out.join(name))? != sum {
                return Err(format!("{name} has another sum than SHA256SUMS says").into());
            }
        }
        let unpacked = tempfile::tempdir()?;
        let (archive, to) = (self.packed(), unpacked.path());
        run_text("tar", &["-C", &to.to_string_lossy(), "-xzf", &archive.to_string_lossy()])?;
        let inside = to.join(&self.name);
        if sha256(&inside.join("rynjer"))? != sha256(&self.program())? {
            return Err("the program in the archive is another one".into());
        }
        for name in BESIDE {
            if !inside.join(name).exists() {
                return Err(format!("{name} is missing in the archive").into());
            }
        }
        let told = run_text(&inside.join("rynjer").to_string_lossy(), &["--version"])?;
        if told.trim() != format!("rynjer {}", self.version) {
            return Err(format!("the program says that it is {told:?}").into());
        }
        let document: Value = serde_json::from_str(&fs::read_to_string(self.parts())?)?;
        let parts = document["components"].as_array().map_or(0, Vec::len);
        if parts == 0 { Err("the list of parts is empty".into()) } else { Ok(()) }
    }

    fn tell(&self, document: &Value) -> Result<(), Failure> {
        let parts = document["components"].as_array().map_or(0, Vec::len);
        let mut out = io::stdout();
        writeln!(out, "{}", fs::read_to_string(self.out.join("SHA256SUMS"))?.trim_end())?;
        writeln!(
            out,
            "{parts} parts in {}; all sums, the archive and the program's version read back",
            self.name
        )?;
        // musl's targets would be static; on this one the C library is the machine's.
        let linked =
            run_text("ldd", &[&self.program().to_string_lossy()]).unwrap_or_else(|error| error.to_string());
        writeln!(out, "linked at run time, says ldd:\n{}", linked.trim_end())?;
        Ok(())
    }
}

fn build(metadata: &Value, profile: &str) -> Result<PathBuf, Failure> {
    let status = Command::new("cargo")
        .args(["build", "--locked", "--package", "rynjer", "--profile", profile])
        .status()?;
    if !status.success() {
        return Err("the program was not built".into());
    }
    let folder = if profile == "dev" { "debug" } else { profile };
    let target = metadata["target_directory"].as_str().ok_or("no target directory")?;
    Ok(Path::new(target).join(folder).join("rynjer"))
}

fn target() -> Result<String, Failure> {
    let told = run_text("rustc", &["-vV"])?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not tell its host")?.to_owned())
}

fn run_text(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let output =
        Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(format!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}

fn sha256(path: &Path) -> Result<String, Failure> {
    let mut hash = Sha256::new();
    io::copy(&mut fs::File::open(path)?, &mut Hasher(&mut hash))?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Lets a file be hashed piece by piece.
struct Hasher<'a>(&'a mut Sha256);

impl Write for Hasher<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
