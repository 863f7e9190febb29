//! What is left of a download that ended early, and how the next one goes on.

use std::time::Duration;

use super::server::{Content, Reply, Server};
use super::support::{Download, Folder, code, download, sha256, wait_until};

/// A server whose file comes slowly, at the first time.
fn slow_at_first(content: Content) -> Server {
    Server::start(move |seen| {
        let pace = Duration::from_millis(if seen.number <= 1 { 2 } else { 0 });
        Reply {
            pace,
            ..content.answer(seen)
        }
    })
}

#[test]
fn an_aborted_download_is_gone_on_with() {
    let (folder, content) = (Folder::new(), Content::model(2_000_000, 1));
    let server = slow_at_first(content.clone());
    let mut under_way = Download::start(folder.request(&[&server.url("/m.gguf")]));
    under_way.wait_for_bytes();
    under_way.abort.set();
    let ending = under_way.end();
    assert_eq!(code(&ending), "ABORTED");
    assert_eq!(folder.names(), ["m.gguf.part", "m.gguf.part.json"]);
    let mut second = Download::start(folder.request(&[&server.url("/m.gguf")]));
    second.end().unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
    assert_eq!(folder.names(), ["m.gguf"]);
    let (start, _) = server.fetches()[1].range().unwrap();
    assert!(start > 0, "began again from the first byte");
}

#[test]
fn an_abort_before_the_first_byte_of_the_file_leaves_nothing() {
    let folder = Folder::new();
    let server = Server::start(|seen| {
        if !seen.is_probe() {
            std::thread::sleep(Duration::from_secs(20));
        }
        Content::model(3_000, 1).answer(seen)
    });
    let mut request = folder.request(&[&server.url("/m.gguf")]);
    request.patience.stall = Duration::from_secs(60);
    let mut under_way = Download::start(request);
    wait_until(|| !server.fetches().is_empty());
    under_way.abort.set();
    assert_eq!(code(&under_way.end()), "ABORTED");
    assert_eq!(folder.names(), Vec::<String>::new());
}

#[test]
fn what_cannot_be_gone_on_with_is_not_kept() {
    let (folder, content) = (Folder::new(), Content::model(2_000_000, 1));
    let server = Server::start(move |seen| Reply {
        pace: Duration::from_millis(2),
        ..content.answer_whole(seen)
    });
    let mut under_way = Download::start(folder.request(&[&server.url("/m.gguf")]));
    under_way.wait_for_bytes();
    under_way.abort.set();
    assert_eq!(code(&under_way.end()), "ABORTED");
    assert_eq!(folder.names(), Vec::<String>::new());
}

#[test]
fn an_abort_before_the_first_byte_leaves_nothing() {
    let folder = Folder::new();
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_secs(20));
        Reply::status(500)
    });
    let mut request = folder.request(&[&server.url("/m.gguf")]);
    request.patience.stall = Duration::from_secs(60);
    let mut under_way = Download::start(request);
    wait_until(|| !server.seen().is_empty());
    under_way.abort.set();
    assert_eq!(code(&under_way.end()), "ABORTED");
    assert_eq!(folder.names(), Vec::<String>::new());
}

#[test]
fn an_abort_before_the_start_asks_nobody() {
    let (folder, server) = (Folder::new(), Server::of(Content::model(3_000, 1)));
    let abort = llama_worker_engine::download::Abort::default();
    abort.set();
    let (sender, events) = std::sync::mpsc::channel();
    llama_worker_engine::download::start(folder.request(&[&server.url("/m.gguf")]), abort, move |event| {
        let _ = sender.send(event);
    });
    let last = events.iter().last().unwrap();
    assert!(matches!(last, llama_worker_engine::download::Event::Ended(Err(ref error)) if error.code() == "ABORTED"));
    assert!(server.seen().is_empty());
}

/// What a killed process leaves behind: bytes of which nothing is noted, and a note that is older than they are.
#[test]
fn what_was_noted_is_gone_on_with_and_nothing_else() {
    let content = Content::model(300_000, 1);
    let note = |total: usize, tag: &str, end: usize| {
        format!(r#"{{"version":1,"total":{total},"validator":"\"{tag}\"","sha256":null,"done":[[0,{end}]]}}"#)
    };
    for (name, note, expected_start) in [
        ("as it was", note(300_000, "1", 100_000), 100_000),
        ("of another file", note(300_000, "2", 100_000), 0),
        ("of another length", note(300_001, "1", 100_000), 0),
        ("of more than there is", note(300_000, "1", 200_000), 150_000),
        ("cut off", note(300_000, "1", 100_000)[..40].to_owned(), 0),
        ("none", String::new(), 0),
    ] {
        let (folder, server) = (Folder::new(), Server::of(content.clone()));
        let mut bytes = content.bytes[..150_000].to_vec();
        if expected_start < 150_000 {
            // What was not noted may be anything.
            bytes[expected_start..].fill(0);
        }
        std::fs::write(folder.path().join("m.gguf.part"), bytes).unwrap();
        std::fs::write(folder.path().join("m.gguf.part.json"), note).unwrap();
        let mut request = folder.request(&[&server.url("/m.gguf")]);
        request.sha256 = Some(sha256(&content.bytes)).filter(|_| name == "none");
        download(request).unwrap();
        assert!(folder.read("m.gguf") == content.bytes, "{name}");
        assert_eq!(server.fetches()[0].range(), Some((expected_start, Some(300_000))), "{name}");
        assert_eq!(folder.names(), ["m.gguf"]);
    }
}

#[test]
fn a_hash_is_of_the_whole_file_also_after_a_pause() {
    let content = Content::model(300_000, 1);
    for (is_damaged, expected) in [(false, "OK"), (true, "DOWNLOAD_CORRUPT")] {
        let (folder, server) = (Folder::new(), Server::of(content.clone()));
        let mut here = content.bytes[..100_000].to_vec();
        if is_damaged {
            here[5_000] ^= 1;
        }
        std::fs::write(folder.path().join("m.gguf.part"), here).unwrap();
        let note = r#"{"version":1,"total":300000,"validator":"\"1\"","sha256":null,"done":[[0,100000]]}"#;
        std::fs::write(folder.path().join("m.gguf.part.json"), note).unwrap();
        let mut request = folder.request(&[&server.url("/m.gguf")]);
        request.sha256 = Some(sha256(&content.bytes));
        assert_eq!(code(&download(request)), expected);
        assert_eq!(folder.names().len(), usize::from(!is_damaged));
    }
}

#[test]
fn a_whole_file_is_not_fetched_again() {
    let content = Content::model(30_000, 1);
    let (folder, server) = (Folder::new(), Server::of(content.clone()));
    for _ in 0..3 {
        let mut under_way = Download::start(folder.request(&[&server.url("/m.gguf")]));
        under_way.end().unwrap();
        assert_eq!(under_way.progress().last().unwrap().downloaded, 30_000);
    }
    assert_eq!(server.fetches().len(), 1);
    assert_eq!(folder.names(), ["m.gguf"]);
}

#[test]
fn a_file_with_the_wanted_hash_needs_no_server() {
    let (folder, content) = (Folder::new(), Content::model(30_000, 1));
    std::fs::write(folder.path().join("m.gguf"), &content.bytes).unwrap();
    let mut request = folder.request(&["http://127.0.0.1:1/m.gguf"]);
    request.sha256 = Some(sha256(&content.bytes));
    assert_eq!(download(request).unwrap(), [folder.path().join("m.gguf")]);
}

#[test]
fn what_is_not_that_file_is_replaced_only_when_the_new_one_is_whole() {
    let content = Content::model(30_000, 1);
    for (before, has_sha256) in [(&content.bytes[..20_000], false), (&Content::model(30_000, 2).bytes[..], true)] {
        let folder = Folder::new();
        std::fs::write(folder.path().join("m.gguf"), before).unwrap();
        let failing = Server::start(|seen| {
            if seen.is_probe() {
                Content::model(30_000, 1).answer(seen)
            } else {
                Reply::status(500)
            }
        });
        let mut request = folder.request(&[&failing.url("/m.gguf")]);
        request.sha256 = has_sha256.then(|| sha256(&content.bytes));
        assert_eq!(code(&download(request.clone())), "DOWNLOAD_FAILED");
        assert_eq!(folder.read("m.gguf"), before);
        let server = Server::of(content.clone());
        let mut request = folder.request(&[&server.url("/m.gguf")]);
        request.sha256 = has_sha256.then(|| sha256(&content.bytes));
        download(request).unwrap();
        assert!(folder.read("m.gguf") == content.bytes);
    }
}

#[cfg(unix)]
#[test]
fn what_cannot_be_written_is_an_error_with_the_systems_words() {
    let (folder, server) = (Folder::new(), Server::of(Content::model(3_000, 1)));
    std::fs::create_dir(folder.path().join("folder.gguf")).unwrap();
    let error = download(folder.request(&[&server.url("/folder.gguf")])).unwrap_err();
    assert_eq!(error.code(), "DOWNLOAD_WRITE_FAILED", "{error}");
    assert_eq!((server.fetches().len(), folder.names()), (0, vec!["folder.gguf".to_owned()]));
    std::fs::write(folder.path().join("file"), "").unwrap();
    let mut request = folder.request(&[&server.url("/m.gguf")]);
    request.directory = folder.path().join("file");
    let error = download(request).unwrap_err();
    assert_eq!(error.code(), "DOWNLOAD_WRITE_FAILED", "{error}");
    assert!(error.cause().is_some_and(|cause| cause.contains("irectory")), "{error}");
}

#[test]
fn a_file_that_no_disk_holds_is_refused_before_it_comes() {
    let folder = Folder::new();
    let server = Server::start(|seen| {
        let reply = Content::model(1, 1).answer(seen);
        Reply {
            headers: vec![
                ("Content-Range".into(), "bytes 0-0/4000000000000000000".into()),
                ("ETag".into(), "\"1\"".into()),
            ],
            ..reply
        }
    });
    let error = download(folder.request(&[&server.url("/m.gguf")])).unwrap_err();
    assert_eq!(error.code(), "DOWNLOAD_NO_SPACE");
    assert!(error.to_string().contains("4000000000000000000"), "{error}");
    assert!(server.fetches().is_empty());
}
