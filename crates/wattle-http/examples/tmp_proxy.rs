//! temporary
#![allow(clippy::unwrap_used, missing_docs)]
use std::{cell::RefCell, rc::*, future::Future};
use wattle_http::*;
use wattle_http::h1::{Checkin, Client};
use tokio::net::*;
struct Pool(RefCell<Vec<Client>>);
struct W(Weak<Pool>);
impl Checkin for W { fn check_in(&self, c: Client) { if let Some(p) = self.0.upgrade() { p.0.borrow_mut().push(c) } } }
struct P { pool: Rc<Pool>, limits: Rc<Limits>, up: Option<String>, h2: RefCell<Option<h2::Client>> , via2: bool}
impl Handler for P {
    fn handle(&self, mut r: Request) -> impl Future<Output = Response> { async move {
        let Some(up) = &self.up else {
            let len = r.head.path_and_query.as_str().trim_start_matches('/').parse::<usize>().unwrap_or(1024);
            if r.head.method == http::Method::POST { return Response::new(http::StatusCode::OK, r.body); }
            return Response::new(http::StatusCode::OK, Body::full(vec![b'x'; len]));
        };
        let u = strip_hop_by_hop(&mut r.head.headers);
        if let Some(u) = u { restore_upgrade(&mut r.head.headers, u); }
        let res = if self.via2 {
            let c = self.h2.borrow().clone();
            let c = match c { Some(c) if c.is_ready() => c, _ => {
                let s = TcpStream::connect(up).await.unwrap(); s.set_nodelay(true).unwrap();
                let (c, d) = h2::connect(s, &self.limits).await.unwrap();
                tokio::task::spawn_local(d); *self.h2.borrow_mut() = Some(c.clone()); c } };
            c.send(r).await
        } else {
            let c = loop { let c = self.pool.0.borrow_mut().pop(); match c { Some(mut c) => if c.is_open() { break c }, None => {
                let s = TcpStream::connect(up).await.unwrap(); s.set_nodelay(true).unwrap();
                break Client::new(s, self.limits.clone(), Some(Rc::new(W(Rc::downgrade(&self.pool))))) } } };
            c.send(r).await
        };
        match res { Ok(r) => r, Err(e) => { eprintln!("{e:?}"); Response::new(http::StatusCode::BAD_GATEWAY, Body::Empty) } }
    } }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&rt, async move {
        let l = TcpListener::bind(&a[1]).await.unwrap();
        println!("{}", l.local_addr().unwrap());
        let h = Rc::new(P { pool: Rc::new(Pool(RefCell::default())), limits: Rc::new(Limits::default()), up: a.get(2).cloned(), h2: RefCell::new(None), via2: a.get(3).is_some() });
        loop {
            let (s, _) = l.accept().await.unwrap(); s.set_nodelay(true).unwrap();
            let h = h.clone();
            tokio::task::spawn_local(async move {
                let mut b = [0; 4]; let n = s.peek(&mut b).await.unwrap();
                let lim = h.limits.clone();
                let r = if b[..n].starts_with(b"PRI ") { h2::serve(s, Default::default(), h, lim, Drain::never()).await } else { h1::serve(s, Default::default(), h, lim, Drain::never()).await };
                if let Err(e) = r { eprintln!("{e:?}"); }
            });
        }
    });
}
