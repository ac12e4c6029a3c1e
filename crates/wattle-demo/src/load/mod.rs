//! The load generator: a fixed rate whatever the answers take, so that a stall shows as latency and not as silence.

mod figures;
mod histogram;
mod mix;
mod phase;

pub use figures::{Figures, Phase};
pub(crate) use phase::FILE as PHASE_FILE;
pub use phase::begin_phase;

use crate::settings::{Name, Settings};
use crate::upstream::{CallError, Client};
use figures::Count;
use mix::{Expect, Visit};
use phase::Marker;
use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Requests in work at once; a turn that comes when all are taken is shed, and counted as shed.
const MAX_IN_FLIGHT: usize = 512;
/// How often figures are told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How often the phase file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Drives `web` until `stop`, telling figures once a second, and once more at the end when all is answered.
pub(crate) async fn drive(
    settings: &Settings,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(&Figures),
) {
    let web = Rc::new(Client::new(
        settings.upstream(Name::Web),
        settings.timeout.saturating_mul(2),
    ));
    let count = Rc::new(RefCell::new(Count::new(Instant::now())));
    let mut marker = Marker::new(settings.phase_file.clone());
    let mut turns = turns(settings.rate);
    let (mut second, mut look) = (interval(TELL_EVERY), interval(LOOK_EVERY));
    second.tick().await;
    let mut flying = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            _ = second.tick() => tell(&count.borrow().figures(Instant::now())),
            _ = look.tick() => count.borrow_mut().enter(marker.changed()),
            due = turns.tick() => {
                while flying.try_join_next().is_some() {}
                if flying.len() < MAX_IN_FLIGHT {
                    flying.spawn_local(visit(web.clone(), count.clone(), due.into_std()));
                } else {
                    count.borrow_mut().shed();
                }
            }
        }
    }
    // Each is bounded by the client's timeout.
    while flying.join_next().await.is_some() {}
    tell(&Figures {
        last: true,
        ..count.borrow().figures(Instant::now())
    });
}

/// Turns missed are made up for at once: the rate is what was asked for.
fn turns(rate: u32) -> Interval {
    let mut turns = interval(Duration::from_secs(1) / rate.max(1));
    turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
    turns
}

/// One request. Its latency counts from when it was due, not from when there was time to send it.
async fn visit(web: Rc<Client>, count: Rc<RefCell<Count>>, due: Instant) {
    let phase = count.borrow().phase();
    let Visit { question, expect } = mix::visit(rand::random());
    let answer = web.ask(question).await;
    let outcome = judged(answer, &expect, &web);
    count.borrow_mut().add(phase, due.elapsed(), outcome);
}

/// The version of reviews that took part, or what is wrong with the answer.
fn judged(
    answer: Result<crate::upstream::Answer, CallError>,
    expect: &Expect,
    web: &Client,
) -> Result<Option<String>, String> {
    let answer = answer
        .and_then(|answer| web.success(answer))
        .map_err(|error| error.to_string())?;
    expect.check(&answer)
}
