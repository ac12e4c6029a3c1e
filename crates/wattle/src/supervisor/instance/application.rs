//! Starting an instance's application.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use wattle_api::{Process, Resource};
use wattle_capture::SpawnSpec;
use wattle_capture::exec::Bind;
use wattle_proxy::Settings;

use crate::supervisor::child::Child;
use crate::supervisor::pump::{self, Log};
use crate::supervisor::world::World;

use super::face::Face;
use super::network::Network;
use super::spec::Spec;

/// Longest host name the kernel takes, in bytes.
const MAX_HOSTNAME: usize = 64;

/// Where programs are looked for if the supervisor was told nothing.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables handed on from whoever started the mesh, besides those that begin with [`OWN_PREFIX`].
const INHERITED: [&str; 4] = ["PATH", "LANG", "LC_ALL", "TZ"];

/// Variables for programs that know they run under Wattle.
const OWN_PREFIX: &str = "WATTLE_";

/// Starts the application, with its output going to its log and to the screen.
pub(super) async fn start(face: &Face, network: &Network) -> anyhow::Result<Child> {
    let Face { world, spec, .. } = face;
    let process = &spec.process;
    let data = world.place.data().join(spec.name.stem());
    world.private_directory(&data, process.spec.run_as_user)?;
    if spec.meshed() {
        make_shown(world, spec)?;
    }
    let mut command = program(world, spec, network).command()?;
    command
        .env_clear()
        .envs(environment(world, spec, network, &data))
        .current_dir(working_directory(process))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = network.spawn(command).await?;
    show_output(world, spec, &mut child)?;
    Ok(child)
}

fn program(world: &World, spec: &Spec, network: &Network) -> SpawnSpec {
    let words = &spec.process.spec.command;
    let mut program = SpawnSpec::new(
        words.first().cloned().unwrap_or_default(),
        words.iter().skip(1).cloned(),
    );
    program.run_as = spec.run_as();
    program.binds = world.workload_binds(&network.names);
    if spec.meshed() {
        // First: what follows hides where it comes from.
        program.binds.insert(0, programs(world, spec));
    }
    program.hostname = Some(spec.name.name.clone()).filter(|name| name.len() <= MAX_HOSTNAME);
    program
}

/// Makes the place for what the proxy shows, which may not have come so far yet.
fn make_shown(world: &World, spec: &Spec) -> anyhow::Result<()> {
    let (state, user) = (world.place.proxies().join(spec.name.stem()), world.proxy_user());
    world.private_directory(&state, user)?;
    world.shown_directory(&state.join(Settings::PROGRAMS), user)
}

/// What the proxy shows its application: discovery for programs that speak gRPC with xDS.
fn programs(world: &World, spec: &Spec) -> Bind {
    let state = world.place.proxies().join(spec.name.stem());
    (state.join(Settings::PROGRAMS), world.place.programs()).into()
}

fn show_output(world: &World, spec: &Spec, child: &mut Child) -> anyhow::Result<()> {
    let log = Log::open(&spec.log(world)).context("cannot open the application's log")?;
    let shown = || Some((world.screen.clone(), spec.name.name.clone()));
    let (stdout, stderr) = child.pipes();
    stdout.map(|pipe| pump::pump(pipe, &log, shown())).transpose()?;
    stderr.map(|pipe| pump::pump(pipe, &log, shown())).transpose()?;
    Ok(())
}

fn environment(world: &World, spec: &Spec, network: &Network, data: &Path) -> Vec<(String, String)> {
    let mut variables = vec![
        ("PATH".to_owned(), DEFAULT_PATH.to_owned()),
        ("HOME".to_owned(), data.display().to_string()),
    ];
    let is_inherited = |name: &str| INHERITED.contains(&name) || name.starts_with(OWN_PREFIX);
    variables.extend(std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        is_inherited(&name).then_some((name, value))
    }));
    let own = [
        ("WATTLE_DATA", data.display().to_string()),
        ("WATTLE_INSTANCE", spec.name.name.clone()),
        ("WATTLE_NAMESPACE", spec.name.namespace.clone()),
        ("WATTLE_ADDRESS", network.address.to_string()),
    ];
    if spec.meshed() {
        let bootstrap = world.place.programs().join(Settings::GRPC_BOOTSTRAP);
        variables.push(("GRPC_XDS_BOOTSTRAP".to_owned(), bootstrap.display().to_string()));
    }
    variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
    variables.extend(
        spec.process
            .spec
            .env
            .iter()
            .map(|one| (one.name.clone(), one.value.clone())),
    );
    variables
}

/// The manifest's own directory, or what it says relative to that.
pub(super) fn working_directory(process: &Resource<Process>) -> PathBuf {
    match &process.spec.working_dir {
        Some(directory) => beside_manifest(process, directory),
        None => home(process).to_owned(),
    }
}

/// A path that a manifest names.
pub(super) fn beside_manifest(process: &Resource<Process>, path: &str) -> PathBuf {
    home(process).join(path)
}

fn home(process: &Resource<Process>) -> &Path {
    let manifest = Path::new(&*process.origin.file);
    manifest
        .parent()
        .filter(|path| !path.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
