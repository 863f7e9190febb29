//! What is left of a download that ended early, and how the next one goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::server::{Content, Reply, Seen, Server};
use super::support::{Download, Folder, code, download, hex, sha256, wait_until};

/// A server whose file comes slowly, at the first time.
fn slow_at_first(content: &Content) -> Server {
    Server::altered(content, |seen, reply| {
        let pace = Duration::from_millis(if seen.number <= 1 { 2 } else { 0 });
        Reply { pace, ..reply }
    })
}

#[test]
fn an_aborted_download_is_gone_on_with() {
    let (folder, content) = (Folder::new(), Content::model(2_000_000, 1));
    let server = slow_at_first(&content);
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
    let server = Server::altered(&Content::model(3_000, 1), |seen, reply| {
        if !seen.is_probe() {
            std::thread::sleep(Duration::from_secs(20));
        }
        reply
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
    let server = Server::without_ranges(&content, |_, reply| Reply {
        pace: Duration::from_millis(2),
        ..reply
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
        format!(r#"{{"version":1,"total":{total},"validator":"\"{tag}\"","sha256":null,"address":"ADDRESS","done":[[0,{end}]]}}"#)
    };
    let cases = [
        ("as it was", note(300_000, "1", 100_000), 100_000),
        ("of another file", note(300_000, "2", 100_000), 0),
        ("of another length", note(300_001, "1", 100_000), 0),
        (
            "of another address",
            note(300_000, "1", 100_000).replace("ADDRESS", &"0".repeat(64)),
            0,
        ),
        ("of more than there is", note(300_000, "1", 200_000), 150_000),
        ("cut off", note(300_000, "1", 100_000)[..40].to_owned(), 0),
        ("none", String::new(), 0),
    ];
    for (name, note, expected_start) in cases {
        let (folder, server) = (Folder::new(), Server::of(content.clone()));
        let mut bytes = content.bytes[..150_000].to_vec();
        if expected_start < 150_000 {
            // What was not noted may be anything.
            bytes[expected_start..].fill(0);
        }
        let address = hex(&sha256(server.url("/m.gguf").as_bytes()));
        folder.leave_with_note(&bytes, &note.replace("ADDRESS", &address));
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
    // What turns out to be wrong with what was there comes anew, once.
    for (is_damaged, is_right, expected, expected_starts) in [
        (false, true, "OK", &[100_000][..]),
        (true, true, "OK", &[100_000, 0]),
        (false, false, "DOWNLOAD_CORRUPT", &[100_000, 0]),
    ] {
        let (folder, content) = (Folder::new(), Content::model(300_000, 1));
        let server = Server::of(content.clone());
        let mut here = content.bytes[..100_000].to_vec();
        if is_damaged {
            here[5_000] ^= 1;
        }
        folder.leave_part(&server.url("/m.gguf"), 300_000, "1", &here);
        let mut request = folder.request(&[&server.url("/m.gguf")]);
        request.sha256 = Some(if is_right { sha256(&content.bytes) } else { [0; 32] });
        assert_eq!(code(&download(request)), expected);
        assert_eq!(server.starts(), expected_starts.iter().copied().map(Some).collect::<Vec<_>>());
        assert_eq!(folder.names().len(), usize::from(is_right));
    }
}

/// What a server may answer to who wants to go on, though it has the file and gives ranges of it.
#[test]
fn what_is_good_outlasts_an_answer_that_is_not() {
    type Odd<'test> = &'test (dyn Fn(&Content, &Seen) -> Reply + Sync);
    let odd: [(&str, Odd<'static>); 6] = [
        ("a page", &|_, _| Reply {
            body: b"<html>Please log in</html>".to_vec(),
            ..Reply::status(200)
        }),
        ("a shorter file", &|content, seen| {
            let mut reply = content.answer_whole(seen);
            reply.body.truncate(200_000);
            reply
        }),
        ("a longer one", &|content, seen| {
            let mut reply = content.answer_whole(seen);
            reply.body.push(0);
            reply
        }),
        ("all of it, cut off", &|content, seen| content.answer_whole(seen).cut(50_000)),
        ("all of it, in chunks and more than there is", &|content, seen| {
            let reply = content.answer_whole(seen);
            let body = [&reply.body[..], b"more"].concat();
            Reply {
                body,
                is_chunked: true,
                ..reply
            }
        }),
        ("nothing", &|_, _| Reply::status(500)),
    ];
    for (name, answer) in odd {
        let (folder, content) = (Folder::new(), Content::model(300_000, 1));
        let (file, is_odd) = (content.clone(), Arc::new(AtomicBool::new(true)));
        let is_odd_now = Arc::clone(&is_odd);
        let server = Server::altered(&content, move |seen, reply| {
            let is_odd = is_odd_now.load(Ordering::SeqCst) && !seen.is_probe();
            if is_odd { answer(&file, seen) } else { reply }
        });
        folder.leave_part(&server.url("/m.gguf"), 300_000, "1", &content.bytes[..100_000]);
        let ending = download(folder.request(&[&server.url("/m.gguf")]));
        assert!(ending.is_err(), "{name}");
        assert_eq!(folder.names(), ["m.gguf.part", "m.gguf.part.json"], "{name}: {ending:?}");
        is_odd.store(false, Ordering::SeqCst);
        let n_before = server.starts().len();
        download(folder.request(&[&server.url("/m.gguf")])).unwrap();
        assert!(folder.read("m.gguf") == content.bytes, "{name}");
        assert!(
            server.starts()[n_before] >= Some(100_000),
            "{name}: began again from the first byte"
        );
    }
}

/// A page with status 200 in the place of the file, whatever is asked: at once, or when the download is gone on with.
#[test]
fn what_is_good_outlasts_a_page_in_the_place_of_the_file() {
    for (n_good, tag, is_chunked) in [
        (0, None, false),
        (0, Some("\"1\""), false),
        (0, None, true),
        (1, None, false),
        (1, None, true),
    ] {
        let case = format!("{n_good} {tag:?} {is_chunked}");
        let (folder, content) = (Folder::new(), Content::model(300_000, 1));
        let is_odd = Arc::new(AtomicBool::new(true));
        let is_odd_now = Arc::clone(&is_odd);
        let server = Server::altered(&content, move |seen, reply| {
            if seen.number < n_good || !is_odd_now.load(Ordering::SeqCst) {
                return reply;
            }
            let page = Reply {
                body: b"<html>Please log in</html>".repeat(100),
                is_chunked,
                ..Reply::status(200)
            };
            match tag {
                Some(tag) => page.with("ETag", tag),
                None => page,
            }
        });
        folder.leave_part(&server.url("/m.gguf"), 300_000, "1", &content.bytes[..100_000]);
        let (part, note) = (folder.read("m.gguf.part"), folder.read("m.gguf.part.json"));
        let ending = download(folder.request(&[&server.url("/m.gguf")]));
        assert_eq!(code(&ending), "DOWNLOAD_CORRUPT", "{case}: {ending:?}");
        assert_eq!(folder.names(), ["m.gguf.part", "m.gguf.part.json"], "{case}");
        assert!(
            folder.read("m.gguf.part") == part && folder.read("m.gguf.part.json") == note,
            "{case}"
        );
        is_odd.store(false, Ordering::SeqCst);
        let n_before = server.starts().len();
        download(folder.request(&[&server.url("/m.gguf")])).unwrap();
        assert!(folder.read("m.gguf") == content.bytes, "{case}");
        assert_eq!(server.starts()[n_before..], [Some(100_000)], "{case}");
    }
}

/// Where nothing was there, nothing lies there afterwards.
#[test]
fn a_page_when_the_file_is_asked_for_leaves_nothing() {
    for n_good in [0, 1] {
        let folder = Folder::new();
        let server = Server::altered(&Content::model(300_000, 1), move |seen, reply| {
            if seen.number < n_good {
                return reply;
            }
            Reply {
                body: b"<html>Please log in</html>".to_vec(),
                ..Reply::status(200)
            }
        });
        let ending = download(folder.request(&[&server.url("/m.gguf")]));
        assert_eq!(code(&ending), "DOWNLOAD_CORRUPT", "{n_good}: {ending:?}");
        assert_eq!(folder.names(), Vec::<String>::new(), "{n_good}");
    }
}

#[test]
fn what_is_here_outlasts_a_server_that_gives_no_ranges_for_a_while() {
    let (folder, content) = (Folder::new(), Content::model(300_000, 1));
    let (file, has_ranges) = (content.clone(), Arc::new(AtomicBool::new(false)));
    let has_ranges_now = Arc::clone(&has_ranges);
    let server = Server::altered(&content, move |seen, reply| {
        let has_ranges = has_ranges_now.load(Ordering::SeqCst);
        if has_ranges { reply } else { file.answer_whole(seen).cut(150_000) }
    });
    folder.leave_part(&server.url("/m.gguf"), 300_000, "1", &content.bytes[..100_000]);
    assert_eq!(code(&download(folder.request(&[&server.url("/m.gguf")]))), "DOWNLOAD_FAILED");
    has_ranges.store(true, Ordering::SeqCst);
    download(folder.request(&[&server.url("/m.gguf")])).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
    assert_eq!(server.starts().last(), Some(&Some(150_000)));
}

#[test]
fn all_of_a_file_is_taken_from_where_it_is_missing() {
    for is_chunked in [false, true] {
        let (folder, content) = (Folder::new(), Content::model(300_000, 1));
        let file = content.clone();
        let server = Server::altered(&content, move |seen, reply| {
            if seen.is_probe() {
                return reply;
            }
            Reply {
                is_chunked,
                ..file.answer_whole(seen)
            }
        });
        // Wrong on purpose: so it shows whether these bytes came again.
        let mut here = content.bytes[..100_000].to_vec();
        here[5_000] ^= 1;
        folder.leave_part(&server.url("/m.gguf"), 300_000, "1", &here);
        download(folder.request(&[&server.url("/m.gguf")])).unwrap();
        let bytes = folder.read("m.gguf");
        assert!(
            bytes[..100_000] == here && bytes[100_000..] == content.bytes[100_000..],
            "{is_chunked}"
        );
    }
}

/// Whoever is asked for the first bytes has the old file, and whoever is asked for more has a new one.
#[test]
fn what_is_here_of_a_file_that_nobody_gives_any_more_is_given_up() {
    let (folder, old, new) = (Folder::new(), Content::model(300_000, 1), Content::model(300_000, 2));
    let (file, here) = (new.clone(), old.bytes[..100_000].to_vec());
    let server = Server::altered(
        &old,
        move |seen, reply| if seen.is_probe() { reply } else { file.answer_whole(seen) },
    );
    folder.leave_part(&server.url("/m.gguf"), 300_000, "1", &here);
    download(folder.request(&[&server.url("/m.gguf")])).unwrap();
    assert!(folder.read("m.gguf") == new.bytes);
}

/// Servers behind one address often have tags of their own for the same file.
#[test]
fn what_is_known_by_its_hash_outlasts_another_tag() {
    let (folder, content) = (Folder::new(), Content::model(300_000, 1));
    let file = content.clone();
    let server = Server::start(move |seen| {
        let etag = format!("\"{}\"", seen.number % 3);
        let reply = Content { etag, ..file.clone() }.answer(seen);
        if seen.is_probe() {
            reply
        } else {
            reply.cut(reply_length(seen).min(60_000))
        }
    });
    folder.leave_part(&server.url("/m.gguf"), 300_000, "0", &content.bytes[..100_000]);
    let mut request = folder.request(&[&server.url("/m.gguf")]);
    request.sha256 = Some(sha256(&content.bytes));
    download(request).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
    let starts = server.starts();
    assert!(starts.is_sorted() && starts[0] == Some(100_000), "{starts:?}");
}

fn reply_length(seen: &Seen) -> usize {
    seen.range().and_then(|(start, end)| Some(end? - start)).unwrap_or(300_000)
}

#[test]
fn bytes_of_another_file_under_another_tag_are_found_out_by_the_hash() {
    let (folder, old, new) = (Folder::new(), Content::model(300_000, 1), Content::model(300_000, 2));
    let expected = new.bytes.clone();
    let server = Server::start(move |seen| match seen.number {
        0 => old.answer(seen),
        1 => old.answer(seen).cut(100_000),
        _ => new.answer(seen),
    });
    let mut request = folder.request(&[&server.url("/m.gguf")]);
    request.sha256 = Some(sha256(&expected));
    download(request).unwrap();
    assert!(folder.read("m.gguf") == expected);
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
    let mut under_way = Download::start(request);
    assert_eq!(under_way.end().unwrap(), [folder.path().join("m.gguf")]);
    let told: Vec<_> = under_way.progress().iter().map(|told| (told.downloaded, told.total)).collect();
    assert_eq!(told, [(30_000, Some(30_000))]);
    assert!((under_way.progress()[0].fraction - 1.0).abs() < f64::EPSILON);
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
        let reply = Content::model(4, 1).answer(seen);
        Reply {
            headers: vec![
                ("Content-Range".into(), "bytes 0-3/4000000000000000000".into()),
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
