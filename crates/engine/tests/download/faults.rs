//! Servers that do not do what they should.

use std::time::Duration;

use llama_worker_engine::download::Event;

use super::server::{Content, Reply, Server};
use super::support::{Download, Folder, code, download, hex, sha256};

#[test]
fn what_comes_is_what_is_there() {
    let (folder, content) = (Folder::new(), Content::model(300_000, 1));
    let server = Server::of(content.clone());
    let mut under_way = Download::start(folder.request(&[&server.url("/a/m.gguf?token=s3cret")]));
    let paths = under_way.end().unwrap();
    assert_eq!(paths, [folder.path().join("m.gguf")]);
    assert_eq!(
        (folder.names(), folder.read("m.gguf") == content.bytes),
        (vec!["m.gguf".to_owned()], true)
    );
    let progress = under_way.progress();
    assert!(
        progress
            .windows(2)
            .all(|two| two[0].downloaded <= two[1].downloaded && two[0].fraction <= two[1].fraction)
    );
    let last = progress.last().unwrap();
    assert_eq!(
        (last.downloaded, last.total, last.file.clone()),
        (300_000, Some(300_000), paths[0].clone())
    );
    assert!((last.fraction - 1.0).abs() < f64::EPSILON);
    assert!(matches!(under_way.seen[0], Event::Started { index: 0 }));
    assert!(matches!(under_way.seen.last(), Some(Event::Finished { index: 0, .. })));
}

#[test]
fn goes_on_where_the_connection_broke() {
    let (folder, content) = (Folder::new(), Content::model(300_000, 1));
    let server = Server::altered(&content, |seen, reply| if seen.number == 1 { reply.cut(100_000) } else { reply });
    download(folder.request(&[&server.url("/m.gguf")])).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
    let fetches = server.fetches();
    assert_eq!(fetches[1].range(), Some((100_000, Some(300_000))));
    assert_eq!(fetches[1].header("if-range"), Some("\"1\""));
}

#[test]
fn goes_on_when_nothing_comes_any_more() {
    let (folder, content) = (Folder::new(), Content::model(300_000, 1));
    let server = Server::altered(&content, |seen, reply| {
        if seen.number == 1 {
            let stall = Duration::from_secs(20);
            Reply {
                stall,
                ..reply.cut(200_000)
            }
        } else {
            reply
        }
    });
    let mut request = folder.request(&[&server.url("/m.gguf")]);
    // On a busy machine other answers may seem to stall as well.
    (request.patience.stall, request.patience.tries) = (Duration::from_millis(400), 50);
    download(request).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
    assert!(server.fetches().len() > 1);
}

#[test]
fn begins_again_where_there_are_no_ranges() {
    let (folder, content) = (Folder::new(), Content::model(300_000, 1));
    let server = Server::without_ranges(&content, |seen, reply| if seen.number == 1 { reply.cut(100_000) } else { reply });
    let mut under_way = Download::start(folder.request(&[&server.url("/m.gguf")]));
    under_way.end().unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
    assert!(server.fetches().iter().all(|seen| seen.range().is_none()));
    assert!(under_way.progress().windows(2).all(|two| two[0].downloaded <= two[1].downloaded));
}

#[test]
fn a_length_that_never_comes_is_a_failure() {
    for has_ranges in [true, false] {
        let (folder, content) = (Folder::new(), Content::model(300_000, 1));
        let server = Server::start(move |seen| {
            let mut reply = if has_ranges {
                content.answer(seen)
            } else {
                content.answer_whole(seen)
            };
            if has_ranges && !seen.is_probe() {
                let left = 200_000_usize.saturating_sub(seen.range().unwrap().0);
                reply = reply.cut(left);
            } else if !has_ranges {
                reply.announced = Some(400_000);
            }
            reply
        });
        let ending = download(folder.request(&[&server.url("/m.gguf")]));
        assert_eq!(code(&ending), "DOWNLOAD_FAILED", "{ending:?}");
        assert!(!folder.names().contains(&"m.gguf".to_owned()));
    }
}

#[test]
fn a_file_that_changes_is_never_mixed() {
    for has_tags in [true, false] {
        let folder = Folder::new();
        let (old, new) = (Content::model(300_000, 1), Content::model(300_000, 2));
        let expected = new.bytes.clone();
        let server = Server::start(move |seen| {
            let content = if seen.number < 2 { &old } else { &new };
            let reply = if has_tags {
                content.answer(seen)
            } else {
                content.answer(seen).without("ETag")
            };
            if seen.number == 1 { reply.cut(100_000) } else { reply }
        });
        download(folder.request(&[&server.url("/m.gguf")])).unwrap();
        assert!(folder.read("m.gguf") == expected, "tags: {has_tags}");
        assert_eq!(folder.names(), ["m.gguf"]);
    }
}

#[test]
fn a_file_that_always_changes_is_given_up() {
    let folder = Folder::new();
    let server = Server::start(|seen| Content::model(300_000 + seen.number, u32::try_from(seen.number).unwrap()).answer(seen));
    let ending = download(folder.request(&[&server.url("/m.gguf")]));
    assert_eq!(code(&ending), "DOWNLOAD_CORRUPT", "{ending:?}");
    assert_eq!(folder.names(), Vec::<String>::new());
}

#[test]
fn each_status_has_its_code() {
    // The last number says how often the server is asked.
    for (status, expected, n_requests) in [
        (401, "DOWNLOAD_UNAUTHORIZED", 1),
        (403, "DOWNLOAD_UNAUTHORIZED", 1),
        (404, "DOWNLOAD_NOT_FOUND", 1),
        (410, "DOWNLOAD_NOT_FOUND", 1),
        (416, "DOWNLOAD_CORRUPT", 1),
        (400, "DOWNLOAD_FAILED", 1),
        (204, "DOWNLOAD_FAILED", 1),
        (304, "DOWNLOAD_FAILED", 1),
        (429, "DOWNLOAD_FAILED", 4),
        (500, "DOWNLOAD_FAILED", 4),
        (503, "DOWNLOAD_FAILED", 4),
    ] {
        let folder = Folder::new();
        let server = Server::start(move |_| Reply::status(status));
        let ending = download(folder.request(&[&server.url("/m.gguf?key=s3cret")]));
        assert_eq!((code(&ending), server.seen().len()), (expected, n_requests), "{status}: {ending:?}");
        let error = ending.unwrap_err();
        assert!(!format!("{error} {error:?} {:?}", error.cause()).contains("s3cret"), "{error:?}");
        assert_eq!(folder.names(), Vec::<String>::new());
    }
}

#[test]
fn what_passes_is_waited_for() {
    for status in [408, 429, 500, 502, 503, 504] {
        let (folder, content) = (Folder::new(), Content::model(3_000, 1));
        let server = Server::start(move |seen| match seen.number {
            0 | 2 => Reply::status(status).with("Retry-After", "0"),
            _ => content.answer(seen),
        });
        download(folder.request(&[&server.url("/m.gguf")])).unwrap();
        assert_eq!(server.seen().len(), 4);
    }
}

#[test]
fn who_asks_for_too_long_a_wait_is_not_asked_again() {
    let folder = Folder::new();
    let server = Server::start(|_| Reply::status(429).with("Retry-After", "3600"));
    let ending = download(folder.request(&[&server.url("/m.gguf")]));
    assert_eq!((code(&ending), server.seen().len()), ("DOWNLOAD_FAILED", 1));
    let error = ending.unwrap_err().to_string();
    assert!(error.contains("429") && error.contains("3600 s"), "{error}");
}

#[test]
fn nobody_there_is_a_failure_with_the_systems_words() {
    let folder = Folder::new();
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = download(folder.request(&[&format!("http://{unused}/m.gguf?s3cret")])).unwrap_err();
    assert_eq!(error.code(), "DOWNLOAD_FAILED");
    let text = format!("{error:?} {error}");
    assert!(text.contains("refused") && !text.contains("s3cret"), "{text}");
}

#[test]
fn what_is_no_model_is_not_kept() {
    for body in [&b"<html>Please log in</html>"[..], b"GGU", b""] {
        for has_ranges in [true, false] {
            let folder = Folder::new();
            let content = Content {
                bytes: body.to_vec(),
                etag: "\"1\"".into(),
            };
            let server = Server::start(move |seen| {
                if has_ranges {
                    content.answer(seen)
                } else {
                    content.answer_whole(seen)
                }
            });
            let ending = download(folder.request(&[&server.url("/m.gguf")]));
            assert_eq!(code(&ending), "DOWNLOAD_CORRUPT", "{body:?}: {ending:?}");
            assert_eq!(folder.names(), Vec::<String>::new());
        }
    }
}

/// The server begins as with a model when it is asked what there is, and sends something else of that length under that tag.
#[test]
fn what_turns_out_to_be_no_model_is_not_kept() {
    let (folder, content) = (Folder::new(), Content::model(3_000, 1));
    let page = Content {
        bytes: b"<html>Please log in</html>".iter().copied().cycle().take(3_000).collect(),
        ..content.clone()
    };
    let server = Server::altered(&content, move |seen, reply| if seen.is_probe() { reply } else { page.answer(seen) });
    let ending = download(folder.request(&[&server.url("/m.gguf")]));
    assert_eq!(code(&ending), "DOWNLOAD_CORRUPT", "{ending:?}");
    assert_eq!((server.fetches().len(), folder.names()), (1, Vec::new()));
}

/// Only a file that has no more may have fewer bytes than were asked for.
#[test]
fn what_begins_with_too_few_bytes_is_asked_for_again() {
    let (folder, content) = (Folder::new(), Content::model(3_000, 1));
    let server = Server::altered(&content, |seen, mut reply| {
        if seen.number < 2 {
            reply.body.truncate(2);
            reply = reply.without("Content-Range").with("Content-Range", "bytes 0-1/3000");
        }
        reply
    });
    download(folder.request(&[&server.url("/m.gguf")])).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
    assert_eq!(server.seen().len(), 4);
}

#[test]
fn what_has_another_hash_is_not_kept() {
    let content = Content::model(30_000, 1);
    for (seed, expected) in [(1, "OK"), (2, "DOWNLOAD_CORRUPT")] {
        let (folder, server) = (Folder::new(), Server::of(content.clone()));
        let mut request = folder.request(&[&server.url("/m.gguf")]);
        request.sha256 = Some(sha256(&Content::model(30_000, seed).bytes));
        let ending = download(request);
        assert_eq!(code(&ending), expected, "{ending:?}");
        assert_eq!(folder.names().len(), usize::from(expected == "OK"));
        if let Err(error) = ending {
            assert!(error.to_string().contains(&hex(&sha256(&content.bytes))), "{error}");
        }
    }
}

#[test]
fn a_length_may_be_unknown_only_where_the_end_is_marked() {
    for (is_chunked, expected) in [(true, "OK"), (false, "DOWNLOAD_FAILED")] {
        let (folder, content) = (Folder::new(), Content::model(300_000, 1));
        let server = Server::without_ranges(&content, move |_, reply| Reply {
            is_chunked,
            is_unmeasured: !is_chunked,
            ..reply
        });
        let mut under_way = Download::start(folder.request(&[&server.url("/m.gguf")]));
        assert_eq!(code(&under_way.end()), expected);
        assert!(under_way.progress().iter().all(|progress| progress.total.is_none()));
        if is_chunked {
            assert!(folder.read("m.gguf") == content.bytes);
        } else {
            assert!(!folder.names().contains(&"m.gguf".to_owned()));
        }
    }
}

#[test]
fn chunks_that_break_off_are_not_the_end() {
    let (folder, content) = (Folder::new(), Content::model(300_000, 1));
    let server = Server::without_ranges(&content, |seen, reply| {
        let reply = Reply { is_chunked: true, ..reply };
        if seen.number == 1 { reply.cut(100_000) } else { reply }
    });
    download(folder.request(&[&server.url("/m.gguf")])).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
}

#[test]
fn a_server_that_sends_other_bytes_is_not_believed() {
    let (folder, content) = (Folder::new(), Content::model(300_000, 1));
    let server = Server::altered(&content, |seen, reply| {
        if seen.is_probe() {
            return reply;
        }
        reply.without("Content-Range").with("Content-Range", "bytes 7-299999/300000")
    });
    let ending = download(folder.request(&[&server.url("/m.gguf")]));
    assert_eq!(code(&ending), "DOWNLOAD_FAILED", "{ending:?}");
    assert!(!folder.names().contains(&"m.gguf".to_owned()));
}

#[test]
fn what_is_encoded_is_not_the_file() {
    const CODINGS: [&str; 9] = [
        "gzip",
        "x-gzip",
        "GZIP",
        "deflate",
        "br",
        "zstd",
        "compress",
        "x-compress",
        "aws-chunked, gzip",
    ];
    // What stores of objects also say, of bytes that are the file's.
    const NONE: [&str; 6] = ["identity", "", "utf-8", "binary", "none", "aws-chunked"];
    let codings = CODINGS.map(|encoding| (encoding, "DOWNLOAD_FAILED"));
    for (encoding, expected) in codings.into_iter().chain(NONE.map(|encoding| (encoding, "OK"))) {
        let folder = Folder::new();
        let server = Server::altered(&Content::model(3_000, 1), move |_, reply| reply.with("Content-Encoding", encoding));
        let ending = download(folder.request(&[&server.url("/m.gguf")]));
        assert_eq!(code(&ending), expected, "{encoding}: {ending:?}");
        assert!(ending.is_ok() || ending.unwrap_err().to_string().contains(&format!("`{encoding}`")));
    }
}

#[test]
fn a_part_need_not_repeat_the_date_that_it_was_asked_by() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let folder = Folder::new();
    let content = Content {
        etag: DATE.into(),
        ..Content::model(300_000, 1)
    };
    let server = Server::altered(&content, |seen, reply| match seen.number {
        0 => reply.without("ETag").with("Last-Modified", DATE),
        1 => reply.without("ETag").cut(100_000),
        _ => reply.without("ETag"),
    });
    download(folder.request(&[&server.url("/m.gguf")])).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
    assert_eq!(server.starts(), [Some(0), Some(100_000)]);
}

#[test]
fn all_of_a_file_will_do_where_it_was_asked_for_from_its_beginning() {
    let (folder, content) = (Folder::new(), Content::model(300_000, 1));
    let file = content.clone();
    let server = Server::altered(&content, move |seen, reply| match seen.number {
        1 => file.answer_whole(seen).cut(100_000),
        _ => reply,
    });
    download(folder.request(&[&server.url("/m.gguf")])).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
    assert_eq!(server.starts(), [Some(0), Some(100_000)]);
}
