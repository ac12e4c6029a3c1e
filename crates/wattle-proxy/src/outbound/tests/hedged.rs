//! Hedging: a second try beside one that is slow.

use super::*;
use wattle_model::traffic::RetryBudget;

fn hedging() -> RouteRule {
    RouteRule {
        retry: Some(Arc::new(RetryPolicy {
            hedge_after: Some(Duration::from_millis(1)),
            ..twice()
        })),
        ..rule(&[1])
    }
}

/// The same, and a try may take no longer than this in all.
fn bounded() -> RouteRule {
    let mut rule = hedging();
    rule.timeouts.backend_request = Some(Duration::from_millis(50));
    rule
}

#[tokio::test]
async fn another_endpoint_answers_for_one_that_is_slow_and_the_slow_try_is_given_up() {
    let run = async {
        let (slow, fast) = (Named::default(), Named::default());
        slow.stuck.set(true);
        let (stuck, well) = (slow.start().await, fast.start().await);
        let world = World::new(&[&[stuck, well]], BackendPolicy::default(), hedging());
        // Until the first pick falls on the slow one.
        while slow.asked.get() == 0 {
            let response = world.send(get()).await;
            assert_eq!((response.head.status.as_u16(), name(&response)), (200, well));
        }
        until(|| slow.given_up.get() == slow.asked.get()).await;
        let cluster = world.cluster().await;
        assert!(cluster.members().iter().all(|member| member.in_flight() == 0));
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn nothing_is_hedged_that_must_not_happen_twice() {
    let run = async {
        let (one, other) = (Named::default(), Named::default());
        one.stuck.set(true);
        other.stuck.set(true);
        let addresses = [one.start().await, other.start().await];
        let world = World::new(&[&addresses], BackendPolicy::default(), bounded());
        let response = world.send(request(Method::POST)).await;
        assert_eq!(
            (response.head.status.as_u16(), reason(&response)),
            (504, "backend_timeout")
        );
        assert_eq!(one.asked.get() + other.asked.get(), 1);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn without_budget_or_another_endpoint_nothing_is_hedged() {
    let run = async {
        let none = BackendPolicy {
            retry_budget: Some(RetryBudget::Concurrent {
                percent: 0.0,
                minimum: 0,
            }),
            ..BackendPolicy::default()
        };
        let stuck = Named::default();
        stuck.stuck.set(true);
        let (one, other) = (stuck.start().await, stuck.start().await);
        let world = World::new(&[&[one, other]], none, bounded());
        assert_eq!(world.send(get()).await.head.status, 504);
        assert_eq!(stuck.asked.get(), 1);
        // Alone it is asked once more each time that its try is over, and never twice at once.
        let world = World::new(&[&[one]], BackendPolicy::default(), bounded());
        assert_eq!(world.send(get()).await.head.status, 504);
        assert!(stuck.asked.get() <= 3);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_body_that_is_still_coming_reaches_both_tries() {
    let run = async {
        let (sender, body) = Body::channel(4);
        let ended = Rc::new(Cell::new(0));
        let first = Rc::new(Cell::new(true));
        let answer = |ended: Rc<Cell<u32>>, first: Rc<Cell<bool>>| {
            application(async move |request: Request| {
                let stuck = first.replace(false);
                let whole = request.body.collect(64).await.unwrap();
                ended.set(ended.get() + 1);
                match stuck {
                    true => std::future::pending().await,
                    // Or the other try would be given up before it has the whole.
                    false => until(|| ended.get() == 2).await,
                }
                Response::new(StatusCode::OK, Body::full(whole))
            })
        };
        let one = answer(ended.clone(), first.clone()).await;
        let other = answer(ended.clone(), first.clone()).await;
        let world = World::new(&[&[one, other]], BackendPolicy::default(), hedging());
        let mut put = request(Method::PUT);
        put.body = body;
        let feed = async {
            sender.try_send(wattle_http::Frame::Data("ab".into())).unwrap();
            until(|| !first.get()).await;
            sender.try_send(wattle_http::Frame::Data("cd".into())).unwrap();
            sender.finish();
        };
        let (response, ()) = tokio::join!(world.send(put), feed);
        assert_eq!(response.body.collect(64).await.unwrap(), "abcd");
        assert_eq!(ended.get(), 2);
    };
    LocalSet::new().run_until(run).await;
}
