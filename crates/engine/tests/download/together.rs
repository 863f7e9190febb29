//! Several connections for one file, several downloads of one file, several files.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use llama_worker_engine::download::{Abort, Event, Request, start};
use llama_worker_engine::error::Error;

use super::server::{Content, Reply, Seen, Server};
use super::support::{Download, Folder, code, download, sha256, wait_until};

/// Pieces of 10 000 bytes over four connections.
fn in_pieces(mut request: Request) -> Request {
    (request.patience.large, request.patience.piece) = (50_000, 10_000);
    request
}

#[test]
fn a_large_file_comes_over_several_connections() {
    let (folder, content) = (Folder::new(), Content::model(300_000, 1));
    let (file, at_once, most) = (content.clone(), AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen_most = Arc::clone(&most);
    let server = Server::start(move |seen| {
        seen_most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        at_once.fetch_sub(1, Ordering::SeqCst);
        file.answer(seen)
    });
    let mut request = in_pieces(folder.request(&[&server.url("/m.gguf")]));
    request.sha256 = Some(sha256(&content.bytes));
    download(request).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
    let most = most.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most} connections");
    let mut starts: Vec<usize> = server.fetches().iter().map(|seen| seen.range().unwrap().0).collect();
    starts.sort_unstable();
    assert_eq!(starts, (0..30).map(|piece| piece * 10_000).collect::<Vec<_>>());
}

#[test]
fn pieces_that_break_off_are_gone_on_with() {
    let (folder, content) = (Folder::new(), Content::model(300_000, 1));
    let server = Server::altered(&content, |seen, reply| if seen.number % 3 == 1 { reply.cut(4_321) } else { reply });
    let mut request = in_pieces(folder.request(&[&server.url("/m.gguf")]));
    request.sha256 = Some(sha256(&content.bytes));
    download(request).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
}

#[test]
fn a_server_that_wants_one_connection_gets_one() {
    let (folder, content) = (Folder::new(), Content::model(200_000, 1));
    let (file, at_once) = (content.clone(), AtomicUsize::new(0));
    let server = Server::start(move |seen| {
        let others = at_once.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(10));
        at_once.fetch_sub(1, Ordering::SeqCst);
        if others > 0 { Reply::status(429) } else { file.answer(seen) }
    });
    let mut request = in_pieces(folder.request(&[&server.url("/m.gguf")]));
    // The last connection may meet those that are about to leave.
    request.patience.tries = 20;
    download(request).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
}

#[test]
fn pieces_of_a_file_that_changes_are_never_mixed() {
    let (folder, old, new) = (Folder::new(), Content::model(300_000, 1), Content::model(300_000, 2));
    let expected = new.bytes.clone();
    let server = Server::start(move |seen| if seen.number < 12 { old.answer(seen) } else { new.answer(seen) });
    download(in_pieces(folder.request(&[&server.url("/m.gguf")]))).unwrap();
    assert!(folder.read("m.gguf") == expected);
}

#[test]
fn an_abort_among_pieces_is_gone_on_with() {
    let (folder, content) = (Folder::new(), Content::model(2_000_000, 1));
    let server = Server::altered(&content, |seen, reply| {
        let pace = Duration::from_millis(u64::from(seen.number < 8));
        Reply { pace, ..reply }
    });
    let request = || {
        let mut request = in_pieces(folder.request(&[&server.url("/m.gguf")]));
        request.patience.piece = 200_000;
        request.sha256 = Some(sha256(&content.bytes));
        request
    };
    let mut under_way = Download::start(request());
    under_way.wait_for_bytes();
    under_way.abort.set();
    assert_eq!(code(&under_way.end()), "ABORTED");
    download(request()).unwrap();
    assert!(folder.read("m.gguf") == content.bytes);
    let n_asked: usize = server
        .fetches()
        .iter()
        .filter_map(Seen::range)
        .map(|(start, end)| end.unwrap() - start)
        .sum();
    assert!(n_asked < 2 * content.bytes.len(), "began again from the first byte");
}

#[test]
fn downloads_of_one_file_wait_for_each_other() {
    let (folder, content) = (Folder::new(), Content::model(300_000, 1));
    let server = Server::altered(&content, |seen, reply| Reply {
        pace: Duration::from_millis(u64::from(!seen.is_probe())),
        ..reply
    });
    let mut all: Vec<Download> = (0..6).map(|_| Download::start(folder.request(&[&server.url("/m.gguf")]))).collect();
    for under_way in &mut all {
        under_way.end().unwrap();
    }
    assert!(folder.read("m.gguf") == content.bytes);
    assert_eq!((server.fetches().len(), folder.names()), (1, vec!["m.gguf".to_owned()]));
}

#[test]
fn who_waits_for_another_download_can_be_aborted() {
    let (folder, content) = (Folder::new(), Content::model(2_000_000, 1));
    let server = Server::altered(&content, |seen, reply| Reply {
        pace: Duration::from_millis(if seen.is_probe() { 0 } else { 10 }),
        ..reply
    });
    let mut first = Download::start(folder.request(&[&server.url("/m.gguf")]));
    first.wait_for_bytes();
    let mut second = Download::start(folder.request(&[&server.url("/m.gguf")]));
    std::thread::sleep(Duration::from_millis(50));
    second.abort.set();
    assert_eq!(code(&second.end()), "ABORTED");
    first.abort.set();
    assert_eq!(code(&first.end()), "ABORTED");
}

/// A server whose files with `held` in their names wait for a word. One test at a time has one: two would wait for each other's places.
fn holding(held: &'static str) -> (Server, Arc<AtomicBool>, MutexGuard<'static, ()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let is_free = Arc::new(AtomicBool::new(false));
    let is_free_now = Arc::clone(&is_free);
    let server = Server::altered(&Content::model(3_000, 1), move |seen, reply| {
        if seen.path.contains(held) && !seen.is_probe() {
            wait_until(|| is_free_now.load(Ordering::SeqCst));
        }
        reply
    });
    (server, is_free, one)
}

#[test]
fn who_waits_for_another_download_stands_in_nobodys_way() {
    let (folder, (server, is_free, _one)) = (Folder::new(), holding("slow"));
    let mut all: Vec<Download> = (0..6)
        .map(|_| Download::start(folder.request(&[&server.url("/slow.gguf")])))
        .collect();
    wait_until(|| server.seen().iter().filter(|seen| seen.is_probe()).count() == 6);
    download(folder.request(&[&server.url("/quick.gguf")])).unwrap();
    is_free.store(true, Ordering::SeqCst);
    for under_way in &mut all {
        under_way.end().unwrap();
    }
}

#[test]
fn an_abort_before_its_turn_leaves_nothing() {
    let (folder, (server, is_free, _one)) = (Folder::new(), holding("slow"));
    let mut all: Vec<Download> = (0..4)
        .map(|number| Download::start(folder.request(&[&server.url(&format!("/slow{number}.gguf"))])))
        .collect();
    // Not until all four are served: other tests may have their places.
    wait_until(|| server.fetches().len() == 4);
    let mut last = Download::start(folder.request(&[&server.url("/last.gguf")]));
    wait_until(|| folder.names().contains(&"last.gguf.part".to_owned()));
    last.abort.set();
    assert_eq!(code(&last.end()), "ABORTED");
    assert!(folder.names().iter().all(|name| name.starts_with("slow")), "{:?}", folder.names());
    is_free.store(true, Ordering::SeqCst);
    for under_way in &mut all {
        under_way.end().unwrap();
    }
}

/// The file that is there is so large that whoever hashes it does so until it is aborted.
#[cfg(unix)]
#[test]
fn who_looks_at_what_is_there_stands_in_nobodys_way() {
    let (folder, server) = (Folder::new(), Server::of(Content::model(3_000, 1)));
    std::fs::File::create(folder.path().join("large.gguf"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let n_ended = Arc::new(AtomicUsize::new(0));
    let look = |_| {
        let (abort, n_ended) = (Abort::default(), Arc::clone(&n_ended));
        let mut request = folder.request(&["http://127.0.0.1:1/large.gguf"]);
        request.sha256 = Some([0; 32]);
        start(request, abort.clone(), move |event| {
            n_ended.fetch_add(usize::from(matches!(event, Event::Ended(_))), Ordering::SeqCst);
        });
        abort
    };
    // As many as there are threads.
    let aborts: Vec<Abort> = (0..8).map(look).collect();
    download(folder.request(&[&server.url("/m.gguf")])).unwrap();
    assert_eq!(n_ended.load(Ordering::SeqCst), 0);
    aborts.iter().for_each(Abort::set);
    wait_until(|| n_ended.load(Ordering::SeqCst) == 8);
}

#[test]
fn several_models_come_in_order() {
    let folder = Folder::new();
    let server = Server::start(|seen| Content::model(3_000, u32::from(seen.path.contains('b'))).answer(seen));
    let mut under_way = Download::start(folder.request(&[&server.url("/a.gguf"), &server.url("/b.gguf"), &server.url("/a.gguf")]));
    let expected = ["a.gguf", "b.gguf", "a.gguf"].map(|name| folder.path().join(name));
    assert_eq!(under_way.end().unwrap(), expected);
    let finished: Vec<usize> = under_way
        .seen
        .iter()
        .filter_map(|event| {
            if let Event::Finished { index, .. } = event {
                Some(*index)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(finished, [0, 1, 2]);
}

#[test]
fn models_that_would_take_each_others_place_are_refused() {
    // On many disks both names of the second pair are one file.
    for (first, second) in [
        ("/a/m.gguf", "/b/m.gguf"),
        ("/m.gguf", "/M.GGUF"),
        ("/m%C3%BC.gguf", "/M%C3%9C.gguf"),
    ] {
        let (folder, server) = (Folder::new(), Server::of(Content::model(3_000, 1)));
        let ending = download(folder.request(&[&server.url(first), &server.url(second)]));
        assert_eq!(code(&ending), "INVALID_MODEL_ID", "{second}");
        assert_eq!(folder.names().len(), 1);
    }
}

/// The thread ends after the last download; the next one must get a new one, also when it comes at that moment.
#[test]
fn downloads_follow_each_other_without_a_gap() {
    let server = Server::of(Content::model(3_000, 1));
    for _ in 0..40 {
        let folder = Folder::new();
        download(folder.request(&[&server.url("/m.gguf")])).unwrap();
    }
}

#[test]
fn a_listener_that_panics_is_told_of_a_defect() {
    let (folder, server) = (Folder::new(), Server::of(Content::model(3_000, 1)));
    let (sender, ends) = mpsc::channel();
    start(
        folder.request(&[&server.url("/m.gguf")]),
        Abort::default(),
        move |event| match event {
            Event::Ended(result) => sender.send(result).unwrap(),
            _ => panic!("of the test"),
        },
    );
    let result = ends.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(matches!(result, Err(Error::Internal { .. })), "{result:?}");
    // And others are not harmed.
    let folder = Folder::new();
    download(folder.request(&[&server.url("/m.gguf")])).unwrap();
}
