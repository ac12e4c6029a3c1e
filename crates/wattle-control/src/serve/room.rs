//! Places of which one address may take a share only, so that no caller keeps all others out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places by address; an address is held as long as somebody has a place there, or waits for one.
type Addresses = HashMap<IpAddr, Arc<Semaphore>>;

/// So many places, and so many of them for one address.
#[derive(Clone)]
pub(super) struct Room {
    all: Arc<Semaphore>,
    share: usize,
    addresses: Arc<Mutex<Addresses>>,
}

/// A place in a room, free again when it is dropped.
pub(super) struct Seat {
    address: IpAddr,
    addresses: Arc<Mutex<Addresses>>,
    of_all: Option<OwnedSemaphorePermit>,
    of_address: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new(places: usize, share: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(places)),
            share,
            addresses: Arc::default(),
        }
    }

    /// A place, or none when the address has its share or all are taken.
    pub(super) fn try_enter(&self, address: IpAddr) -> Option<Seat> {
        let (mut seat, share) = self.approach(address);
        seat.of_address = Some(share.try_acquire_owned().ok()?);
        seat.of_all = Some(self.all.clone().try_acquire_owned().ok()?);
        Some(seat)
    }

    /// Waits for a place: for one of the address first, so that who waits there waits behind his own.
    pub(super) async fn enter(&self, address: IpAddr) -> Option<Seat> {
        let (mut seat, share) = self.approach(address);
        seat.of_address = Some(share.acquire_owned().await.ok()?);
        seat.of_all = Some(self.all.clone().acquire_owned().await.ok()?);
        Some(seat)
    }

    /// A place that is not taken yet, and the share it is to be taken of.
    fn approach(&self, address: IpAddr) -> (Seat, Arc<Semaphore>) {
        let address = holder(address);
        let share = lock(&self.addresses)
            .entry(address)
            .or_insert_with(|| Arc::new(Semaphore::new(self.share)))
            .clone();
        let seat = Seat {
            address,
            addresses: self.addresses.clone(),
            of_all: None,
            of_address: None,
        };
        (seat, share)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        (self.of_all, self.of_address) = (None, None);
        let mut addresses = lock(&self.addresses);
        // The last reference is the table's own: nobody is there any more.
        if addresses
            .get(&self.address)
            .is_some_and(|share| Arc::strong_count(share) == 1)
        {
            addresses.remove(&self.address);
        }
    }
}

/// Whose share an address counts in: in IPv6 one caller has a whole /64.
fn holder(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

fn lock(addresses: &Mutex<Addresses>) -> MutexGuard<'_, Addresses> {
    addresses.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_all_together_the_whole() {
        let room = Room::new(3, 2);
        let seats: Vec<Seat> = (0..2).map(|_| room.try_enter(ip("10.0.0.1")).unwrap()).collect();
        assert!(room.try_enter(ip("10.0.0.1")).is_none());
        assert!(room.try_enter(ip("::ffff:10.0.0.1")).is_none());
        let other = room.try_enter(ip("10.0.0.2")).unwrap();
        assert!(room.try_enter(ip("10.0.0.3")).is_none());
        drop(seats);
        assert!(room.try_enter(ip("10.0.0.1")).is_some());
        assert_eq!(lock(&room.addresses).len(), 1, "only who is there is remembered");
        drop(other);
        assert!(lock(&room.addresses).is_empty());
    }

    #[test]
    fn the_addresses_of_one_network_of_ipv6_are_one_caller() {
        let room = Room::new(10, 1);
        let _seat = room.try_enter(ip("2001:db8::1")).unwrap();
        assert!(room.try_enter(ip("2001:db8::ffff:1")).is_none());
        assert!(room.try_enter(ip("2001:db8:0:1::1")).is_some());
    }

    #[tokio::test]
    async fn who_waits_waits_behind_his_own_and_is_forgotten_when_he_leaves() {
        let room = Room::new(2, 1);
        let seat = room.enter(ip("10.0.0.1")).await.unwrap();
        let mut second = Box::pin(room.enter(ip("10.0.0.1")));
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(room.enter(ip("10.0.0.2")).await.is_some());
        drop(seat);
        assert!(futures_util::poll!(&mut second).is_ready());
        drop(second);
        assert!(lock(&room.addresses).is_empty());
    }
}
