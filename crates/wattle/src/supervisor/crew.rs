//! The supervisor's loop: what happens, what is to be done about it, and who is there.

mod closing;
mod sources;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use wattle_source::{Batch, Event as SourceEvent};

use super::instance::{Life, Spec};
use super::plan::{Action, Standing, plan};
use super::status::{Name, Phase};
use super::wanted::Wanted;
use super::world::World;
use super::{api, control, names};

use sources::Sources;

/// Batches, orders and ends that wait to be taken in, at most; whoever has more waits.
const MAX_WAITING: usize = 64;

/// One thing that happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// The manifests say something new.
    Manifests(Batch),
    /// An instance is in another state than before.
    Changed,
    /// An instance is gone.
    Ended(Name),
    /// Somebody wants something.
    Ordered(Order),
    /// The mesh is to end: asked to, or its time is over.
    End,
}

/// What can be asked for from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Stop instances and keep them stopped.
    Stop(Vec<Name>),
    /// Start instances that were stopped.
    Start(Vec<Name>),
    /// Stop instances and start them again.
    Restart(Vec<Name>),
    /// End the mesh.
    Drain,
}

/// An instance that is there.
struct Slot {
    spec: Rc<Spec>,
    fingerprint: u64,
    stop: watch::Sender<bool>,
    stopping: bool,
    held: bool,
    /// Nothing of it runs any more; it is kept because it is held.
    gone: bool,
}

/// Everything the loop knows.
struct Crew {
    world: Rc<World>,
    wanted: Wanted,
    slots: BTreeMap<Name, Slot>,
    ended: mpsc::Sender<Name>,
    /// Processes that must not run, as last told.
    refused: Vec<(Name, &'static str)>,
    /// Whether it was said that everything runs.
    announced: bool,
}

/// Runs the mesh until it is told to end or its time is over.
pub(crate) async fn run(world: Rc<World>) -> anyhow::Result<ExitCode> {
    let (ended, ends) = mpsc::channel(MAX_WAITING);
    let (orders, ordered) = mpsc::channel(MAX_WAITING);
    let (stop_control, control_stopped) = watch::channel(false);
    api::serve(&world, orders)?;
    let control = tokio::task::spawn_local(control::keep(Rc::clone(&world), control_stopped));
    let follower = tokio::task::spawn_local(control::follow(Rc::clone(&world)));
    let mut sources = Sources::open(&world, ends, ordered)?;
    let mut crew = Crew {
        world,
        wanted: Wanted::default(),
        slots: BTreeMap::new(),
        ended,
        refused: Vec::new(),
        announced: false,
    };
    crew.world
        .screen
        .news(format!("mesh `{}` is starting", crew.world.assignment.name));
    let code = crew.work(&mut sources).await;
    crew.close(&mut sources).await;
    stop_control.send_replace(true);
    follower.abort();
    control.await.context("the control plane's keeper failed")?;
    crew.world
        .screen
        .news(format!("mesh `{}` has ended", crew.world.assignment.name));
    Ok(ExitCode::from(code))
}

impl Crew {
    /// Works until the end of the mesh; gives its exit code.
    async fn work(&mut self, sources: &mut Sources) -> u8 {
        loop {
            match sources.next().await {
                Event::Manifests(batch) => self.read(batch),
                Event::Ended(name) => self.bury(&name),
                Event::Ordered(Order::Drain) | Event::End => return 0,
                Event::Ordered(order) => self.obey(order),
                Event::Changed => {}
            }
            self.redirect_names();
            self.step();
            self.announce();
            if let Some(code) = self.verdict() {
                return code;
            }
        }
    }

    fn read(&mut self, batch: Batch) {
        for event in &batch {
            let diagnostics = match event {
                SourceEvent::Reset(snapshot) => &snapshot.diagnostics,
                SourceEvent::Diagnosed { diagnostics, .. } => diagnostics,
                _ => continue,
            };
            diagnostics
                .iter()
                .for_each(|one| self.world.screen.news(one.to_string()));
        }
        self.wanted.update(batch);
        let refused = self.wanted.refused();
        if refused != self.refused {
            for (name, why) in &refused {
                self.world
                    .screen
                    .news(format!("Process {name} must not run: {why}"));
            }
            self.refused = refused;
        }
    }

    /// Does the next steps.
    fn step(&mut self) {
        let standing: Vec<Standing> = self
            .slots
            .iter()
            .map(|(name, slot)| self.standing(name, slot))
            .collect();
        let desired = self.wanted.desired();
        for action in plan(&standing, &desired) {
            match action {
                Action::Stop(name) => self.stop(&name),
                Action::Start { process, instance } => {
                    let fingerprint = desired
                        .iter()
                        .find(|one| one.process == process)
                        .map_or(0, |one| one.fingerprint);
                    self.start(&process, instance, fingerprint);
                }
            }
        }
    }

    /// Says once that everything runs, and how to look at it.
    fn announce(&mut self) {
        let board = self.world.board.all();
        let is_up = |phase| matches!(phase, Phase::Ready | Phase::Finished);
        if self.announced || board.is_empty() || !board.values().all(|status| is_up(status.phase)) {
            return;
        }
        self.announced = true;
        let name = &self.world.assignment.name;
        let text = format!(
            "all {} processes run; look at them with `wattle stat --mesh {name}`",
            board.len()
        );
        self.world.screen.news(text);
    }

    fn standing(&self, name: &Name, slot: &Slot) -> Standing {
        let phase = self.world.board.status(name).map(|status| status.phase);
        Standing {
            process: Name::new(&name.namespace, &*slot.spec.process.meta.name),
            instance: name.name.clone(),
            fingerprint: slot.fingerprint,
            settled: slot.held || matches!(phase, Some(Phase::Ready | Phase::Finished)),
            stopping: slot.stopping && !slot.held,
            held: slot.held,
        }
    }

    fn start(&mut self, process: &Name, instance: String, fingerprint: u64) {
        let Some(resource) = self.wanted.process(process) else {
            return;
        };
        let name = Name::new(&process.namespace, instance);
        let spec = Rc::new(Spec {
            name: name.clone(),
            refuses_datagrams: self.wanted.refuses_datagrams(&resource),
            process: resource,
        });
        self.world.board.add(spec.status(&self.world));
        let (stop, stopped) = watch::channel(false);
        let (life, ended) = (Life::new(&self.world, &spec), self.ended.clone());
        let own_name = name.clone();
        tokio::task::spawn_local(async move {
            let lived = tokio::task::spawn_local(life.run(stopped)).await;
            if let Err(error) = lived {
                tracing::error!(%error, instance = %own_name, "the life of an instance broke off");
            }
            // Nobody listens only when the supervisor itself has ended.
            let _ = ended.send(own_name).await;
        });
        let slot = Slot {
            spec,
            fingerprint,
            stop,
            stopping: false,
            held: false,
            gone: false,
        };
        self.slots.insert(name, slot);
    }

    fn stop(&mut self, name: &Name) {
        let Some(slot) = self.slots.get_mut(name) else {
            return;
        };
        slot.held = false;
        slot.stopping = true;
        slot.stop.send_replace(true);
        if slot.gone {
            self.forget(name);
        }
    }

    /// Takes an instance that has ended off, unless somebody wants to see that it is stopped.
    fn bury(&mut self, name: &Name) {
        match self.slots.get_mut(name) {
            Some(slot) if slot.held => slot.gone = true,
            _ => self.forget(name),
        }
    }

    fn forget(&mut self, name: &Name) {
        self.slots.remove(name);
        self.world.board.remove(name);
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Stop(names) => names.iter().for_each(|name| self.hold(name)),
            Order::Start(names) => {
                let is_held = |name: &&Name| self.slots.get(*name).is_some_and(|slot| slot.held);
                let held: Vec<&Name> = names.iter().filter(is_held).collect();
                held.into_iter().for_each(|name| self.stop(name));
            }
            Order::Restart(names) => names.iter().for_each(|name| self.stop(name)),
            Order::Drain => {}
        }
    }

    fn hold(&mut self, name: &Name) {
        if let Some(slot) = self.slots.get_mut(name).filter(|slot| !slot.stopping) {
            slot.held = true;
            slot.stopping = true;
            slot.stop.send_replace(true);
        }
    }

    /// Workloads without a proxy are sent straight to the instances that are ready.
    fn redirect_names(&self) {
        let board = self.world.board.all();
        let ready = self
            .slots
            .iter()
            .filter_map(|(name, slot)| slot.spec.target(board.get(name)?));
        let targets: Vec<names::Target> = ready.collect();
        drop(board);
        let direct = names::direct(&self.wanted.services(), &targets);
        self.world.redirect_names(|directory| directory.direct = direct);
    }

    /// The exit code once the process that the mesh ends with has finished.
    fn verdict(&self) -> Option<u8> {
        let wanted = self.world.assignment.exit_with.as_ref()?;
        let board = self.world.board.all();
        let mut codes = Vec::new();
        for status in board
            .values()
            .filter(|status| status.process == *wanted || status.instance == *wanted)
        {
            let exit = status.exit.filter(|_| status.phase == Phase::Finished)?;
            codes.push(u8::try_from(exit.code).unwrap_or(1));
        }
        codes.into_iter().max()
    }
}
