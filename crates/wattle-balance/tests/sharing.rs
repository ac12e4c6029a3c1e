//! How requests share multiplexed connections, with a waker that only counts.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use wattle_balance::{Acquired, ConnectFailed, ConnectTicket, Shared, SharedLimits, Streams, Waiter};

type Connection = Rc<Cell<Option<usize>>>;

fn connection(streams: usize) -> Connection {
    Rc::new(Cell::new(Some(streams)))
}

fn streams(connection: &Connection) -> Streams {
    connection.get().map_or(Streams::Closing, Streams::Available)
}

fn pool(max_connections: usize, max_waiting: usize) -> Shared<Connection> {
    Shared::new(SharedLimits {
        max_connections,
        max_waiting,
    })
}

fn ticket(pool: &Shared<Connection>) -> ConnectTicket<Connection> {
    match pool.acquire(streams) {
        Acquired::Connect(ticket) => ticket,
        other => panic!("expected to connect, got {other:?}"),
    }
}

fn waiter(pool: &Shared<Connection>) -> Waiter<Connection> {
    match pool.acquire(streams) {
        Acquired::Wait(waiter) => waiter,
        other => panic!("expected to wait, got {other:?}"),
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(waiter: &mut Waiter<Connection>, count: &Arc<Count>) -> Poll<Result<(), ConnectFailed>> {
    let waker = Waker::from(Arc::clone(count));
    pin!(waiter).poll(&mut Context::from_waker(&waker))
}

#[test]
fn one_request_connects_while_the_others_wait_and_then_share_the_connection() {
    let pool = pool(4, 8);
    let ticket = ticket(&pool);
    let mut waiting = waiter(&pool);
    let count = Arc::default();
    assert_eq!(poll(&mut waiting, &count), Poll::Pending);
    ticket.connected(connection(100));
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(poll(&mut waiting, &count), Poll::Ready(Ok(())));
    assert!(matches!(pool.acquire(streams), Acquired::Use(_)));
    assert_eq!((pool.live(), pool.waiting()), (1, 0));
}

#[test]
fn a_failed_connect_is_told_to_everyone_who_waits_for_it() {
    let pool = pool(4, 8);
    let ticket = ticket(&pool);
    let mut waiting = [waiter(&pool), waiter(&pool)];
    ticket.failed();
    let count = Arc::default();
    for waiter in &mut waiting {
        assert_eq!(poll(waiter, &count), Poll::Ready(Err(ConnectFailed)));
    }
    drop(crate::ticket(&pool));
}

#[test]
fn a_connect_given_up_passes_to_the_next_in_line() {
    let pool = pool(4, 8);
    let ticket = ticket(&pool);
    let (mut first, mut second) = (waiter(&pool), waiter(&pool));
    drop(ticket);
    let count = Arc::default();
    assert_eq!(poll(&mut first, &count), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut second, &count), Poll::Pending);
    drop(crate::ticket(&pool));
    assert_eq!(poll(&mut second, &count), Poll::Ready(Ok(())));
}

#[test]
fn a_waiter_that_leaves_after_being_woken_passes_its_turn_on() {
    let pool = pool(4, 8);
    let ticket = ticket(&pool);
    let (first, mut second) = (waiter(&pool), waiter(&pool));
    drop(ticket);
    drop(first);
    assert_eq!(poll(&mut second, &Arc::default()), Poll::Ready(Ok(())));
}

#[test]
fn the_line_is_bounded_and_a_waiter_that_leaves_frees_its_place() {
    let pool = pool(1, 1);
    let _ticket = ticket(&pool);
    let only = waiter(&pool);
    assert!(matches!(pool.acquire(streams), Acquired::Refused));
    drop(only);
    drop(waiter(&pool));
}

#[test]
fn a_second_connection_opens_when_the_first_is_full_and_no_more_than_the_limit() {
    let pool = pool(2, 8);
    let full = connection(0);
    ticket(&pool).connected(full.clone());
    ticket(&pool).connected(connection(0));
    let mut waiting = waiter(&pool);
    full.set(Some(1));
    pool.stream_ended();
    assert_eq!(poll(&mut waiting, &Arc::default()), Poll::Ready(Ok(())));
    match pool.acquire(streams) {
        Acquired::Use(found) => assert!(Rc::ptr_eq(&found, &full)),
        other => panic!("expected the freed connection, got {other:?}"),
    }
}

#[test]
fn a_closing_connection_is_forgotten_and_replaced() {
    let pool = pool(1, 8);
    let closing = connection(5);
    ticket(&pool).connected(closing.clone());
    closing.set(None);
    ticket(&pool).connected(connection(5));
    assert_eq!(pool.live(), 1);
}

#[test]
fn connections_taken_out_leave_room_for_others() {
    let pool = pool(1, 8);
    ticket(&pool).connected(connection(0));
    let mut waiting = waiter(&pool);
    assert_eq!(pool.take(|_| true).len(), 1);
    assert_eq!(poll(&mut waiting, &Arc::default()), Poll::Ready(Ok(())));
    drop(ticket(&pool));
}
