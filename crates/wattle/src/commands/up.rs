//! `wattle up`: the mesh of a directory, on this machine, in namespaces of its own.

use std::io::IsTerminal as _;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use wattle_api::Severity;
use wattle_capture::leftover::{RunDirectory, sweep};
use wattle_capture::{Isolated, Isolation};

use crate::cli::Shared;
use crate::failure::{Advise as _, Failure};
use crate::mesh::{self, Place};
use crate::output::Format;
use crate::supervisor::assignment::{Assignment, ScreenMode};

/// Most resolvers that the C library asks (resolv.conf(5), MAXNS).
const MAX_RESOLVERS: usize = 3;

/// Names that a mesh cannot have, since runs are kept beside them.
const RESERVED_PREFIX: &str = "run-";

/// Arguments of `wattle up`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Directory of manifests: Process objects say what to run, all other kinds are the standard ones
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Name of the mesh [default: the directory's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// End by itself after this long
    #[arg(long = "for", value_name = "DURATION", value_parser = super::duration)]
    run_for: Option<Duration>,
    /// End when this process has finished, with its exit code
    #[arg(long, value_name = "PROCESS")]
    exit_with: Option<String>,
    /// Start in spite of errors in the manifests; what is wrong is left out
    #[arg(long)]
    force: bool,
    /// Write a JSON line per request to `logs/NAMESPACE.INSTANCE.access.log` of the state directory
    #[arg(long)]
    access_log: bool,
    /// Worker threads of each proxy
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    proxy_workers: u8,
    /// Whom to ask, on port 53, for names that the mesh does not know; an address within the mesh, at most three times
    /// [default: nobody, such a name does not exist]
    #[arg(long = "resolver", value_name = "ADDRESS")]
    resolvers: Vec<IpAddr>,
    /// PEM file of further roots of the trust domain, such as SPIRE's or istio-csr's, watched
    #[arg(long, value_name = "FILE")]
    accepted_roots: Option<PathBuf>,
    /// Show nothing of what processes print
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the mesh to its end.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let directory = std::fs::canonicalize(&arguments.directory).advise(
        format!("cannot open the directory {}", arguments.directory.display()),
        "name a directory of manifests, such as examples/redis",
    )?;
    check_manifests(&directory, arguments.force)?;
    let stage = Stage::make(&name(arguments, shared, &directory)?)?;
    let assignment = Assignment {
        name: stage.name.clone(),
        directory,
        state: stage.place().root().to_owned(),
        run_for: arguments.run_for,
        exit_with: arguments.exit_with.clone(),
        access_log: arguments.access_log,
        resolvers: resolvers(&arguments.resolvers)?,
        proxy_workers: Some(arguments.proxy_workers.into()),
        accepted_roots: arguments
            .accepted_roots
            .as_deref()
            .map(accepted_roots)
            .transpose()?,
        screen: screen(arguments.quiet, shared.output),
    };
    Ok(exit_code(stage.start(&assignment)?.wait()))
}

/// The supervisor has another working directory.
fn accepted_roots(path: &Path) -> anyhow::Result<PathBuf> {
    std::fs::metadata(path)
        .and_then(|_| std::path::absolute(path))
        .advise(
            format!("cannot open the accepted roots {}", path.display()),
            "name a PEM file of certificates",
        )
}

/// Resolvers as many as a resolv.conf has.
fn resolvers(given: &[IpAddr]) -> anyhow::Result<Vec<IpAddr>> {
    if given.len() > MAX_RESOLVERS {
        let message = format!(
            "there are {} resolvers, and no more than {MAX_RESOLVERS} are asked",
            given.len()
        );
        return Err(Failure::error(message, "leave out some `--resolver ADDRESS`"));
    }
    Ok(given.to_vec())
}

/// The supervisor's exit code as this process's own.
pub(super) fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    )
}

fn screen(quiet: bool, format: Format) -> ScreenMode {
    match format {
        _ if quiet => ScreenMode::Silent,
        Format::Json => ScreenMode::Json,
        Format::Text => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            ScreenMode::Lines { colour }
        }
    }
}

/// Says what is wrong with the manifests before anything is started.
fn check_manifests(directory: &Path, force: bool) -> anyhow::Result<()> {
    let (mesh, diagnostics) = wattle_control::offline::load(directory);
    for diagnostic in diagnostics.iter().filter(|one| one.severity != Severity::Info) {
        eprintln!(
            "{}: {diagnostic}",
            if diagnostic.severity == Severity::Error {
                "error"
            } else {
                "warning"
            }
        );
    }
    let errors = diagnostics
        .iter()
        .filter(|one| one.severity == Severity::Error)
        .count();
    if errors > 0 && !force {
        let number = if errors == 1 {
            "an error".to_owned()
        } else {
            format!("{errors} errors")
        };
        let message = format!("the manifests in {} have {number}", directory.display());
        return Err(Failure::error(
            message,
            "mend them, or leave out what is wrong with `--force`",
        ));
    }
    if mesh.objects().next().is_none() {
        let message = format!("there are no manifests in {}", directory.display());
        return Err(Failure::error(
            message,
            "name a directory of YAML files, such as examples/redis",
        ));
    }
    Ok(())
}

fn name(arguments: &Arguments, shared: &Shared, directory: &Path) -> anyhow::Result<String> {
    let Some(name) = arguments.name.clone().or_else(|| shared.mesh.clone()) else {
        return Ok(name_of(directory));
    };
    if is_name(&name) {
        return Ok(name);
    }
    let message = format!("`{name}` cannot be the name of a mesh");
    Err(Failure::error(
        message,
        "choose at most 63 letters, digits, -, _ and ., the first a letter or digit",
    ))
}

fn is_name(name: &str) -> bool {
    let allowed = |one: char| one.is_ascii_alphanumeric() || "-_.".contains(one);
    let begins_well = name.starts_with(|one: char| one.is_ascii_alphanumeric());
    begins_well && name.len() <= 63 && name.chars().all(allowed) && !name.starts_with(RESERVED_PREFIX)
}

/// The directory's own name as far as a mesh can have it.
fn name_of(directory: &Path) -> String {
    let own = directory
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let bare = own.trim_start_matches(|one: char| !one.is_ascii_alphanumeric());
    if is_name(bare) {
        bare.to_owned()
    } else {
        "mesh".to_owned()
    }
}

/// A state directory under a name of its own, removed with all in it when dropped.
pub(super) struct Stage {
    /// Name of the mesh.
    pub(super) name: String,
    _link: Link,
    run: RunDirectory,
}

impl Stage {
    /// Makes it, and removes what dead runs have left.
    pub(super) fn make(name: &str) -> anyhow::Result<Self> {
        let base = mesh::base()?;
        sweep(&base)?;
        mesh::sweep_names(&base);
        if mesh::is_alive(&base, name) {
            let message = format!("a mesh `{name}` is running already");
            return Err(Failure::error(message, "choose another name with `--name NAME`"));
        }
        let run = RunDirectory::create(&base)?;
        if !Place::new(run.path()).fits_sockets() {
            let message = format!("the path {} is too long for Unix sockets", run.path().display());
            return Err(Failure::error(message, "set WATTLE_RUN_DIR to a shorter one"));
        }
        let link = Link::create(&base.join(name), run.path())?;
        Ok(Self {
            name: name.to_owned(),
            _link: link,
            run,
        })
    }

    /// The layout of the state directory.
    pub(super) fn place(&self) -> Place {
        Place::new(self.run.path())
    }

    /// Starts the supervisor in namespaces of its own.
    ///
    /// To be called before this process has another thread: signals are held back from here on.
    pub(super) fn start(&self, assignment: &Assignment) -> anyhow::Result<Isolated> {
        let mut command = Command::new("/proc/self/exe");
        command.arg("supervise").arg(serde_json::to_string(assignment)?);
        let advice = "see what is missing with `wattle check`";
        Isolation::detect()?
            .spawn(command)
            .advise("cannot make the namespaces of the mesh", advice)
    }
}

/// The mesh's name as a link to its state directory, for as long as it runs.
struct Link {
    path: PathBuf,
    target: PathBuf,
}

impl Link {
    fn create(path: &Path, target: &Path) -> anyhow::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        symlink(target, path).with_context(|| format!("cannot make the link {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            target: target.to_owned(),
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Somebody may have taken the name over since.
        if std::fs::read_link(&self.path).is_ok_and(|target| target == self.target) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_is_called_as_its_directory_where_it_can_be() {
        for (directory, name) in [
            ("/examples/redis", "redis"),
            ("/tmp/.tmpX1", "tmpX1"),
            ("/", "mesh"),
            ("/a b", "mesh"),
            ("/run-1", "mesh"),
        ] {
            assert_eq!(name_of(Path::new(directory)), name, "{directory}");
        }
    }
}
