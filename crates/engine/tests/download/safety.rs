//! Where requests go, and who is told the token.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::mpsc::channel;

use llama_worker_engine::download::{Hub, Source};

use super::server::{Content, Reply, Server};
use super::support::{Folder, code, download};

#[test]
fn the_token_goes_to_the_hub_and_never_on() {
    let content = Content::model(30_000, 1);
    let cdn = Server::of(content.clone());
    let away = cdn.url("/blob?signature=s1gned");
    let hub = Server::start(move |seen| match seen.path.as_str() {
        "/org/repo/resolve/main/m.gguf" => Reply::status(307).with("Location", "/renamed"),
        _ => Reply::status(302).with("Location", away.clone()),
    });
    let folder = Folder::new();
    let mut request = folder.request(&["hf://org/repo/m.gguf"]);
    request.hub = Hub::new(&hub.url(""), Some("t0ken".into())).unwrap();
    download(request).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
    assert!(hub.seen().iter().all(|seen| seen.header("authorization") == Some("Bearer t0ken")));
    assert!(cdn.seen().iter().all(|seen| seen.header("authorization").is_none()));
    assert!(cdn.seen().len() >= 2 && hub.seen().len() >= 4);
}

#[test]
fn the_token_does_not_come_back_to_the_hub_by_a_detour() {
    let hub = Server::of(Content::model(30_000, 1));
    let back = hub.url("/m.gguf");
    let other = Server::start(move |_| Reply::status(302).with("Location", back.clone()));
    let folder = Folder::new();
    let mut request = folder.request(&[&other.url("/m.gguf")]);
    request.hub = Hub::new(&hub.url(""), Some("t0ken".into())).unwrap();
    download(request).unwrap();
    for seen in hub.seen().iter().chain(other.seen().iter()) {
        assert_eq!(seen.header("authorization"), None);
    }
}

#[test]
fn redirects_are_limited_and_stay_safe() {
    for (location, expected) in [
        ("/again", "redirects more than 10 times"),
        (
            "http://example.com/m.gguf?s3cret",
            "redirects to `http://example.com/m.gguf`, which is not https",
        ),
        ("ftp://127.0.0.1/m.gguf", "which is not https"),
        ("http://[", "redirects to nowhere"),
    ] {
        let folder = Folder::new();
        let server = Server::start(move |_| Reply::status(302).with("Location", location));
        let error = download(folder.request(&[&server.url("/m.gguf")])).unwrap_err();
        assert_eq!(error.code(), "DOWNLOAD_FAILED");
        assert!(
            error.to_string().contains(expected) && !error.to_string().contains("s3cret"),
            "{error}"
        );
        assert!(server.seen().len() <= 11);
    }
}

#[test]
fn a_user_in_an_address_is_told_to_its_server_and_to_no_other() {
    let cdn = Server::of(Content::model(30_000, 1));
    let away = cdn.url("/m.gguf");
    let server = Server::start(move |_| Reply::status(302).with("Location", away.clone()));
    let folder = Folder::new();
    let id = server.url("/m.gguf").replacen("http://", "http://me:s3cret@", 1);
    download(folder.request(&[&id])).unwrap();
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.header("authorization").is_some_and(|value| value.starts_with("Basic ")))
    );
    assert!(cdn.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[test]
fn other_machines_are_reached_through_the_proxy_and_this_one_is_not() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let (sender, asked) = channel();
    std::thread::Builder::new()
        .spawn(move || {
            for stream in proxy.incoming().flatten() {
                let line = BufReader::new(&stream).lines().next();
                let _ = sender.send(line.unwrap().unwrap());
            }
        })
        .unwrap();
    let (folder, server) = (Folder::new(), Server::of(Content::model(3_000, 1)));
    let mut request = folder.request(&[&server.url("/m.gguf")]);
    request.proxies.all = Some(address);
    download(request.clone()).unwrap();
    assert!(asked.try_recv().is_err(), "this machine was asked for");
    request.sources = vec![Source::parse("https://models.invalid/m.gguf").unwrap()];
    let ending = download(request);
    assert_eq!(code(&ending), "DOWNLOAD_FAILED", "{ending:?}");
    assert_eq!(asked.recv().unwrap(), "CONNECT models.invalid:443 HTTP/1.1");
}
