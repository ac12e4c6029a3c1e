#![allow(clippy::unwrap_used)]
mod common;
use common::World;
use std::fmt::Write;
use std::time::Instant;
use wattle_wire::Kind;

fn rss() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    text.lines().find(|l| l.starts_with("VmRSS")).unwrap().split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "current_thread")]
async fn scale() {
    let (services, per): (usize, usize) = (10000, 10);
    let t = Instant::now();
    let mut world = World::start("").await;
    for chunk in 0..(services / 100) {
        let mut text = String::new();
        for s in chunk * 100..(chunk + 1) * 100 {
            write!(text, "apiVersion: v1\nkind: Service\nmetadata: {{name: s{s}}}\nspec: {{selector: {{app: s{s}}}, ports: [{{port: 80, appProtocol: http}}]}}\n---\n").unwrap();
            for e in 0..per {
                let n = s * per + e;
                write!(text, "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: s{s}-{e}, labels: {{app: s{s}, wattle.io/proxy: enabled}}}}\nspec: {{address: 10.{}.{}.{}, serviceAccount: s{s}}}\n---\n", n / 65536 + 100, n / 256 % 256, n % 256).unwrap();
            }
        }
        world.write(&format!("f{chunk}.yaml"), &text);
    }
    println!("written {:?} rss {}", t.elapsed(), rss());
    world.stop().await;
    let t = Instant::now();
    world.control = None;
    // no patience bound here
    let mut config = wattle_control::ControlConfig::new(world.state.path(), vec![world.config.path().to_owned()]);
    config.discovery = "127.0.0.1:0".parse().unwrap();
    config.metrics = "127.0.0.1:0".parse().unwrap();
    world.control = Some(wattle_control::Control::start(config).await.unwrap());
    while !world.status().await.ready { tokio::time::sleep(std::time::Duration::from_millis(50)).await; }
    println!("ready {:?} rss {}", t.elapsed(), rss());
    let t = Instant::now();
    world.status().await;
    println!("status {:?} objects", t.elapsed());
    let t = Instant::now();
    world.status().await;
    println!("status again {:?}", t.elapsed());
    let mut proxy = world.join("client", "client-0").await;
    proxy.connect(&world).await.unwrap();
    let t = Instant::now();
    let mut names = Vec::new();
    for s in 0..1000 {
        names.push(proxy.want(Kind::Destination, &format!("s{s}:80")).await);
        names.push(proxy.want(Kind::Endpoints, &format!("default/s{s}:80")).await);
        while proxy.held.len() < names.len() { proxy.receive().await.unwrap(); }
    }
    println!("2000 subs {:?}", t.elapsed());
    for round in 0..5 {
        let t = Instant::now();
        world.write("edit.yaml", &format!("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec: {{parentRefs: [{{group: '', kind: Service, name: s5}}], rules: [{{matches: [{{path: {{type: PathPrefix, value: /x{round}}}}}], backendRefs: [{{name: s5, port: 80}}]}}]}}\n"));
        proxy.receive().await.unwrap();
        println!("edit to push {:?}", t.elapsed());
    }
    for round in 0..3 {
        let n = proxy.want(Kind::Destination, &format!("zzz{round}:80")).await;
        proxy.until(|p| p.held.contains_key(&n)).await;
        let t = Instant::now();
        world.write(&format!("edit2{round}.yaml"), &format!("apiVersion: v1\nkind: Service\nmetadata: {{name: zzz{round}}}\nspec: {{ports: [{{port: 80}}]}}\n"));
        proxy.receive().await.unwrap();
        println!("new service {:?} rss {}", t.elapsed(), rss());
    }
}
