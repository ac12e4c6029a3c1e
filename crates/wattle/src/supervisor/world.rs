//! What all instances of one mesh share: bridge, addresses, state directory, board and screen.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context as _;
use wattle_capture::bridge::Plan;
use wattle_capture::exec::Bind;
use wattle_capture::names::{DEFAULT_LIMIT, HostsFile, nsswitch};
use wattle_capture::privileges::{Exemption, PROXY_UID};
use wattle_capture::{Allocator, Bridge, apart};
use wattle_telemetry::Snapshot;

use crate::mesh::{Place, port};

use super::assignment::Assignment;
use super::child::Handle;
use super::control::ControlState;
use super::names::{self, Directory};
use super::screen::Screen;
use super::status::{Board, Name};

/// An instance's hosts file.
#[derive(Debug)]
struct Names {
    address: IpAddr,
    meshed: bool,
    file: HostsFile,
}

/// The files by which an instance and its proxy resolve names.
#[derive(Debug, Clone)]
pub(crate) struct NameFiles {
    /// Hosts that are known without a resolver.
    pub(crate) hosts: PathBuf,
    /// Whom the application asks.
    pub(crate) resolvers: PathBuf,
    /// Whom its proxy asks.
    pub(crate) resolvers_outside: PathBuf,
}

impl NameFiles {
    fn of(hosts: PathBuf) -> Self {
        let beside = |extension: &str| {
            let mut path = hosts.clone().into_os_string();
            path.push(extension);
            PathBuf::from(path)
        };
        Self {
            resolvers: beside(".resolv.conf"),
            resolvers_outside: beside(".outside.conf"),
            hosts,
        }
    }
}

/// The shared part of a mesh.
pub(crate) struct World {
    /// What to run and how.
    pub(crate) assignment: Assignment,
    /// Where things are kept.
    pub(crate) place: Place,
    /// The mesh's own subnet.
    pub(crate) bridge: Arc<Bridge>,
    /// Addresses of workloads.
    pub(crate) addresses: RefCell<Allocator>,
    /// How proxies are kept out of the redirection, and whether other users exist here.
    pub(crate) exemption: Exemption,
    /// How instances are doing.
    pub(crate) board: Board,
    /// What the terminal shows.
    pub(crate) screen: Screen,
    /// Applications that run, for signalling them.
    pub(crate) applications: RefCell<BTreeMap<Name, Rc<Handle>>>,
    /// Proxies that run, likewise.
    pub(crate) proxies: RefCell<BTreeMap<Name, Rc<Handle>>>,
    /// Where names lead.
    directory: RefCell<Directory>,
    /// The file that resolves names, for each instance.
    hosts: RefCell<BTreeMap<Name, Names>>,
    /// What proxies that are gone have counted.
    pub(crate) retired: RefCell<Snapshot>,
    /// The control plane.
    pub(crate) control: RefCell<ControlState>,
    /// Whether everything is being stopped.
    pub(crate) closing: Cell<bool>,
}

impl World {
    /// Makes the bridge and the directories.
    pub(crate) fn create(assignment: Assignment, screen: Screen) -> anyhow::Result<Rc<Self>> {
        let place = assignment.place();
        let plan = Plan::default();
        let addresses = Allocator::new(plan.subnet, [plan.address()]);
        let bridge = Arc::new(Bridge::create(plan)?);
        let exemption = Exemption::detect().context("cannot tell which users exist here")?;
        make_directories(&place)?;
        warn_if_not_apart();
        Ok(Rc::new(Self {
            assignment,
            place,
            bridge,
            addresses: RefCell::new(addresses),
            exemption,
            board: Board::new(),
            screen,
            applications: RefCell::default(),
            proxies: RefCell::default(),
            directory: RefCell::default(),
            hosts: RefCell::default(),
            retired: RefCell::default(),
            control: RefCell::default(),
            closing: Cell::new(false),
        }))
    }

    /// Where proxies find the control plane.
    pub(crate) fn discovery(&self) -> SocketAddr {
        SocketAddr::new(self.bridge.address(), port::DISCOVERY)
    }

    /// An address for an instance, the same after every start of it.
    pub(crate) fn allocate(&self, key: &str) -> anyhow::Result<IpAddr> {
        Ok(self.addresses.borrow_mut().allocate(key)?)
    }

    /// Makes the files that resolve an instance's names and says where they are. Where it has a proxy, that answers for
    /// names; otherwise the hosts file does, and follows what they lead to.
    pub(crate) fn add_names(
        &self,
        instance: &Name,
        address: IpAddr,
        meshed: bool,
    ) -> anyhow::Result<NameFiles> {
        let hosts = names::hosts(instance, address, meshed, &self.directory.borrow())?;
        let files = NameFiles::of(self.place.hosts().join(instance.stem()));
        let file = HostsFile::create(&files.hosts, &hosts, DEFAULT_LIMIT)?;
        let outside = &self.assignment.resolvers;
        write(
            &files.resolvers,
            &names::resolvers(&instance.namespace, meshed, outside),
        )?;
        write(
            &files.resolvers_outside,
            &names::resolvers_outside(&instance.namespace, outside),
        )?;
        self.hosts.borrow_mut().insert(
            instance.clone(),
            Names {
                address,
                meshed,
                file,
            },
        );
        Ok(files)
    }

    /// Removes these files.
    pub(crate) fn remove_names(&self, instance: &Name) {
        if let Some(names) = self.hosts.borrow_mut().remove(instance) {
            let files = NameFiles::of(names.file.path().to_owned());
            for path in [files.hosts, files.resolvers, files.resolvers_outside] {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Changes what names lead to, in every hosts file.
    pub(crate) fn redirect_names(&self, change: impl FnOnce(&mut Directory)) {
        let mut directory = self.directory.borrow_mut();
        let before = directory.clone();
        change(&mut directory);
        if *directory == before {
            return;
        }
        for (
            instance,
            Names {
                address,
                meshed,
                file,
            },
        ) in &mut *self.hosts.borrow_mut()
        {
            let hosts = names::hosts(instance, *address, *meshed, &directory);
            if let Err(error) = hosts.and_then(|hosts| file.rewrite(&hosts)) {
                tracing::warn!(%error, %instance, "names are not up to date");
            }
        }
    }

    /// Makes a directory that belongs to `owner`, where this namespace knows that user.
    pub(crate) fn private_directory(&self, path: &Path, owner: Option<u32>) -> anyhow::Result<()> {
        make(path, 0o700)?;
        self.give(path, owner)
    }

    /// The same for one that others may look into.
    pub(crate) fn shown_directory(&self, path: &Path, owner: Option<u32>) -> anyhow::Result<()> {
        make(path, 0o755)?;
        self.give(path, owner)
    }

    /// Gives a file to a user; without root there is only one, whom a nested namespace calls what it likes.
    pub(crate) fn give(&self, path: &Path, owner: Option<u32>) -> anyhow::Result<()> {
        let Some(owner) = owner.filter(|_| self.exemption == Exemption::User) else {
            return Ok(());
        };
        chown(path, Some(owner), Some(owner))
            .with_context(|| format!("cannot give {} to user {owner}", path.display()))
    }

    /// The user proxies run as; none where there is only one.
    pub(crate) fn proxy_user(&self) -> Option<u32> {
        (self.exemption == Exemption::User).then_some(PROXY_UID)
    }

    /// What a workload sees elsewhere than it is: names, and nothing of the mesh's own state.
    pub(crate) fn workload_binds(&self, names: &NameFiles) -> Vec<Bind> {
        let mut binds: Vec<Bind> = vec![
            (&names.hosts, "/etc/hosts").into(),
            (&names.resolvers, "/etc/resolv.conf").into(),
        ];
        let nsswitch = self.place.hosts().join("nsswitch.conf");
        if nsswitch.exists() {
            binds.push((nsswitch, "/etc/nsswitch.conf").into());
        }
        // A program that runs as root could otherwise read keys, or speak to the control plane as its owner.
        binds.extend(self.hidden(&[
            self.place.control(),
            self.place.workloads(),
            self.place.proxies(),
            self.place.logs(),
        ]));
        binds.push((self.place.empty().join("nothing"), self.place.supervisor_socket()).into());
        binds
    }

    /// What a proxy sees elsewhere than it is: its own state, and nobody else's, though all proxies are one user.
    pub(crate) fn proxy_binds(&self, state: &Path) -> Vec<Bind> {
        let mut binds: Vec<Bind> = vec![(state, self.place.own()).into()];
        let hidden = [
            self.place.proxies(),
            self.place.control(),
            self.place.workloads(),
            self.place.data(),
            self.place.logs(),
        ];
        binds.extend(self.hidden(&hidden));
        binds.push((self.place.empty().join("nothing"), self.place.supervisor_socket()).into());
        binds
    }

    fn hidden(&self, directories: &[PathBuf]) -> Vec<Bind> {
        let empty = self.place.empty().join("directory");
        directories
            .iter()
            .map(|directory| (&empty, directory).into())
            .collect()
    }
}

/// Once for all programs.
fn warn_if_not_apart() {
    if !apart::is_possible() {
        let needs = apart::OLDEST_KERNEL;
        tracing::warn!(
            "programs of this mesh can signal and trace each other: holding them apart needs Linux {needs} with Landlock"
        );
    }
}

fn make_directories(place: &Place) -> anyhow::Result<()> {
    for path in [place.control(), place.workloads(), place.logs()] {
        make(&path, 0o700)?;
    }
    for path in [
        place.proxies(),
        place.own(),
        place.programs(),
        place.data(),
        place.hosts(),
        place.empty(),
        place.empty().join("directory"),
    ] {
        make(&path, 0o711)?;
    }
    write(&place.empty().join("nothing"), "")?;
    let machine = fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
    match nsswitch(&machine) {
        Some(text) => write(&place.hosts().join("nsswitch.conf"), &text),
        None => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn make(path: &Path, mode: u32) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(mode).create(path);
    made.with_context(|| format!("cannot make the directory {}", path.display()))
}
