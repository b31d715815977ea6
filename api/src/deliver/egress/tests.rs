//! The guard against a table of addresses, notations and names.
#![allow(clippy::unwrap_used)]

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;

use super::{Allow, EgressError, Endpoint, Http, connect, resolve};

fn allow(private: bool, networks: &[&str]) -> Allow {
    Allow::new(private, networks.iter().map(|network| network.parse().unwrap()).collect())
}

#[test]
fn addresses_are_judged_by_what_they_are() {
    // address, allowed by default, with allow_private, with allow = ["0.0.0.0/0", "::/0"]
    let table = [
        ("93.184.215.14", true, true, true),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", true, true, true),
        ("127.0.0.1", false, true, true),
        ("127.255.255.254", false, true, true),
        ("10.0.0.1", false, true, true),
        ("172.16.0.1", false, true, true),
        ("172.31.255.255", false, true, true),
        ("172.32.0.1", true, true, true),
        ("192.168.1.1", false, true, true),
        ("100.64.0.1", false, true, true),
        ("100.128.0.1", true, true, true),
        ("169.254.169.254", false, false, true),
        ("192.0.0.1", false, false, true),
        ("192.0.2.1", false, false, true),
        ("198.18.0.1", false, false, true),
        ("198.19.255.255", false, false, true),
        ("198.20.0.1", true, true, true),
        ("240.0.0.1", false, false, true),
        ("0.0.0.0", false, false, false),
        ("0.1.2.3", false, false, false),
        ("224.0.0.1", false, false, false),
        ("255.255.255.255", false, false, false),
        ("::", false, false, false),
        ("::1", false, true, true),
        ("::127.0.0.1", false, true, true),
        ("::ffff:127.0.0.1", false, true, true),
        ("::ffff:169.254.169.254", false, false, true),
        ("::ffff:93.184.215.14", true, true, true),
        ("::ffff:0.0.0.0", false, false, false),
        ("64:ff9b::127.0.0.1", false, false, true),
        ("64:ff9b::93.184.215.14", false, false, true),
        ("64:ff9b::0.0.0.0", false, false, false),
        ("64:ff9b:1::1", false, false, true),
        ("2002:7f00:1::1", false, false, true),
        ("2001:0:1::1", false, false, true),
        ("2001:db8::1", false, false, true),
        ("fc00::1", false, true, true),
        ("fd00:ec2::254", false, true, true),
        ("fe80::1", false, false, true),
        ("fec0::1", false, false, true),
        ("ff02::1", false, false, false),
        ("4000::1", false, false, true),
    ];
    for (ip, by_default, private, everything) in table {
        let address: IpAddr = ip.parse().unwrap();
        assert_eq!(Allow::default().check(address).is_ok(), by_default, "{ip} by default");
        assert_eq!(allow(true, &[]).check(address).is_ok(), private, "{ip} with allow_private");
        assert_eq!(allow(false, &["0.0.0.0/0", "::/0"]).check(address).is_ok(), everything, "{ip} with everything");
    }
}

#[test]
fn a_translated_address_needs_permission_for_both_ends() {
    let ip = "64:ff9b::10.0.0.1".parse().unwrap();
    assert!(allow(false, &["64:ff9b::/96"]).check(ip).is_err());
    assert!(allow(false, &["10.0.0.0/8"]).check(ip).is_err());
    assert!(allow(false, &["64:ff9b::/96", "10.0.0.0/8"]).check(ip).is_ok());
    assert!(allow(false, &["10.0.0.0/8"]).check("10.255.0.1".parse().unwrap()).is_ok());
    assert!(allow(false, &["10.0.0.0/8"]).check("192.168.0.1".parse().unwrap()).is_err());
    for wrong in ["10.0.0.0", "10.0.0.0/33", "::/129", "ten/8", "10.0.0.0/-1"] {
        assert!(wrong.parse::<super::Network>().is_err(), "{wrong}");
    }
}

#[test]
fn urls_are_refused_before_anything_is_connected() {
    let table = [
        ("https://soc.example/hook", None),
        ("http://soc.example:8080/hook", None),
        ("http://127.0.0.1/", Some("127.0.0.1 is a loopback address")),
        ("http://2130706433/", Some("127.0.0.1 is a loopback address")),
        ("http://0x7f000001/", Some("127.0.0.1 is a loopback address")),
        ("http://0177.0.0.1/", Some("127.0.0.1 is a loopback address")),
        ("http://0x7f.1/", Some("127.0.0.1 is a loopback address")),
        ("http://127.1/", Some("127.0.0.1 is a loopback address")),
        ("http://1２7.0.0.1/", Some("127.0.0.1 is a loopback address")),
        ("http://[::1]/", Some("::1 is a loopback address")),
        ("http://[::ffff:127.0.0.1]/", Some("127.0.0.1 is a loopback address")),
        ("http://[::ffff:7f00:1]/", Some("127.0.0.1 is a loopback address")),
        ("http://0/", Some("0.0.0.0 is an address of 'this network'")),
        ("http://169.254.169.254/latest/meta-data", Some("link-local address (cloud metadata lives there)")),
        ("http://[fe80::1]/", Some("a link-local address")),
        ("http://[fd00::1]/", Some("a unique local address")),
        ("http://100.64.0.1/", Some("a shared (CGNAT) address")),
        ("http://198.18.0.1/", Some("a benchmarking address")),
        ("http://[64:ff9b::7f00:1]/", Some("127.0.0.1 is a loopback address")),
        ("https://user@soc.example/", Some("the URL names a user")),
        ("https://soc.example:pw@10.0.0.1/", Some("the URL names a user")),
        ("https://soc.example:22/", Some("port 22 belongs to another service")),
        ("https://soc.example:6443/", None),
        ("file:///etc/passwd", Some("'file:' is not spoken here")),
        ("unix:/run/docker.sock", Some("'unix:' is not spoken here")),
        ("gopher://soc.example/", Some("'gopher:' is not spoken here")),
        ("soc.example/hook", Some("is no URL")),
        ("https://", Some("is no URL")),
    ];
    for (url, expected) in table {
        let answer = Endpoint::parse(url, &Allow::default()).map_err(|error| error.to_string());
        match (answer, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) if error.contains(expected) => {}
            (answer, _) => panic!("{url}: {answer:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn a_refusal_says_the_way_out() {
    let error = Endpoint::parse("http://10.1.2.3/", &Allow::default()).unwrap_err().to_string();
    assert_eq!(
        error,
        "10.1.2.3 is a private address, which a sink may not connect to: if the receiver really is there, \
         set 'allow_private = true' or name its network in 'allow'"
    );
    let error = Endpoint::parse("hps//admin:hunter2@x y", &Allow::default()).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_name_is_judged_each_time_it_is_resolved() {
    static FLIPPED: AtomicBool = AtomicBool::new(false);
    fn lookup(_: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let address = if FLIPPED.load(Ordering::SeqCst) { "127.0.0.1" } else { "93.184.215.14" };
        Box::pin(async move { Ok(vec![address.parse().unwrap()]) })
    }
    let allow = Allow::default();
    assert!(resolve("flip.example", &allow, lookup).await.is_ok());
    FLIPPED.store(true, Ordering::SeqCst);
    let error = resolve("flip.example", &allow, lookup).await.unwrap_err();
    assert!(matches!(error, EgressError::AllRefused { .. }), "{error}");
}

#[tokio::test]
async fn a_name_for_this_machine_is_refused_by_both_doors() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint = Endpoint::parse(&format!("http://localhost:{port}/"), &Allow::default()).unwrap();
    let http = Http::new(endpoint, Duration::from_secs(5)).unwrap();
    let error = http.post().send().await.unwrap_err();
    assert!(format!("{error:?}").contains("AllRefused"), "{error:?}");
    for host in ["localhost", "127.0.0.1", "::1", "[::1]", "2130706433"] {
        let error = connect(host, port, &Allow::default()).await.unwrap_err();
        assert!(matches!(error, EgressError::AllRefused { .. } | EgressError::Resolve { .. }), "{host}: {error}");
    }
    let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(nobody.is_err(), "somebody connected");
    assert!(connect("127.0.0.1", port, &Allow::new(true, Vec::new())).await.is_ok());
}
