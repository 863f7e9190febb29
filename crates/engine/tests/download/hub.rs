//! Names of the hub, against a server that answers as the hub does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use llama_worker_engine::download::{Hub, Request};

use super::server::{Content, Reply, Seen, Server};
use super::support::{Download, Folder, code, download, hex, sha256, wait_until};

/// A hub with one repository of these files. Each file's bytes are made from its path, and are on another server, as large files are.
struct FakeHub {
    hub: Server,
    files: Server,
}

fn content(path: &str) -> Content {
    Content::model(30_000, path.bytes().map(u32::from).sum())
}

impl FakeHub {
    fn with(files: &'static [&str]) -> Self {
        let store = Server::start(|seen: &Seen| content(&seen.path[1..]).answer(seen));
        let away = store.url("/");
        let hub = Server::start(move |seen| {
            if seen.path == "/api/models/org/repo/revision/main" {
                let siblings: Vec<String> = files.iter().map(|file| format!(r#"{{"rfilename":"{file}"}}"#)).collect();
                let body = format!(r#"{{"siblings":[{}]}}"#, siblings.join(","));
                return Reply {
                    body: body.into_bytes(),
                    ..Reply::status(200)
                };
            }
            let path = seen.path.strip_prefix("/org/repo/resolve/main/").unwrap_or_default();
            if !files.contains(&path) {
                return Reply::status(404).with("X-Error-Code", "EntryNotFound");
            }
            let sha256 = hex(&sha256(&content(path).bytes));
            let reply = Reply::status(302).with("Location", format!("{away}{path}"));
            reply.with("X-Linked-Size", "30000").with("X-Linked-ETag", format!("\"{sha256}\""))
        });
        Self { hub, files: store }
    }

    fn request(&self, folder: &Folder, id: &str) -> Request {
        let mut request = folder.request(&[id]);
        request.hub = Hub::new(&self.hub.url("/"), None).unwrap();
        request
    }
}

#[test]
fn a_name_finds_its_file() {
    const MANY: &[&str] = &["README.md", "m-Q4_K_M.gguf", "m-Q8_0.gguf", "d/x.gguf", "model.gguf"];
    const ONE: &[&str] = &["README.md", "m-Q4_K_M.gguf", "mmproj-f16.gguf"];
    for (files, id, expected) in [
        (MANY, "hf://org/repo", "model.gguf"),
        (ONE, "hf://org/repo", "m-Q4_K_M.gguf"),
        (MANY, "hf:org/repo:q8_0", "m-Q8_0.gguf"),
        (MANY, "hf://org/repo/d/x.gguf", "d/x.gguf"),
    ] {
        let (folder, fake) = (Folder::new(), FakeHub::with(files));
        let name = expected.rsplit('/').next().unwrap();
        assert_eq!(download(fake.request(&folder, id)).unwrap(), [folder.path().join(name)], "{id}");
        assert!(folder.read(name) == content(expected).bytes, "{id}");
    }
}

#[test]
fn an_unclear_name_lists_the_choices() {
    const MANY: &[&str] = &["README.md", "a-Q4_K_M.gguf", "b-Q4_K_M.gguf"];
    for (files, id, expected) in [
        (MANY, "hf://org/repo", "`a-Q4_K_M.gguf`, `b-Q4_K_M.gguf`"),
        (MANY, "hf://org/repo/c.gguf", "`a-Q4_K_M.gguf`, `b-Q4_K_M.gguf`"),
        (MANY, "hf:org/repo:Q2_K", "`a-Q4_K_M.gguf`, `b-Q4_K_M.gguf`"),
        (&["README.md"], "hf://org/repo", "no GGUF file"),
        (MANY, "hf://org/other", "no repository `org/other`"),
        (MANY, "hf://org/repo#v2", "with a revision `v2`"),
        (MANY, "hf://org/repo/a-Q4_K_M.gguf#v2", "with a revision `v2`"),
    ] {
        let (folder, fake) = (Folder::new(), FakeHub::with(files));
        let ending = download(fake.request(&folder, id));
        assert_eq!(code(&ending), "DOWNLOAD_NOT_FOUND", "{id}");
        let text = ending.unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains(id), "{text}");
    }
}

#[test]
fn all_parts_of_a_split_model_come() {
    const PARTS: &[&str] = &["d/m-00001-of-00003.gguf", "d/m-00002-of-00003.gguf", "d/m-00003-of-00003.gguf"];
    for id in ["hf://org/repo", "hf://org/repo/d/m-00002-of-00003.gguf"] {
        let (folder, fake) = (Folder::new(), FakeHub::with(PARTS));
        let mut under_way = Download::start(fake.request(&folder, id));
        assert_eq!(under_way.end().unwrap(), [folder.path().join("m-00001-of-00003.gguf")]);
        for path in PARTS {
            assert!(folder.read(&path[2..]) == content(path).bytes, "{path}");
        }
        let progress = under_way.progress();
        assert!(progress.iter().all(|progress| progress.total == Some(90_000)));
        assert!(progress.windows(2).all(|two| two[0].downloaded <= two[1].downloaded));
        assert_eq!(progress.last().unwrap().downloaded, 90_000);
    }
}

#[test]
fn a_hash_is_for_one_file() {
    let (folder, fake) = (Folder::new(), FakeHub::with(&["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]));
    let mut request = fake.request(&folder, "hf://org/repo");
    request.sha256 = Some([0; 32]);
    assert_eq!(code(&download(request)), "INVALID_OPTION");
}

#[test]
fn what_the_hub_states_is_held_against_what_comes() {
    let (folder, fake) = (Folder::new(), FakeHub::with(&["m.gguf"]));
    // Same length and same first bytes: only the hash knows.
    let other = Server::of(Content::model(30_000, 5));
    let (away, hash) = (other.url("/m.gguf"), hex(&sha256(&content("m.gguf").bytes)));
    let liar = Server::start(move |_| {
        Reply::status(302)
            .with("Location", away.clone())
            .with("X-Linked-ETag", format!("\"{hash}\""))
    });
    let mut request = fake.request(&folder, "hf://org/repo/m.gguf");
    request.hub = Hub::new(&liar.url(""), None).unwrap();
    assert_eq!(code(&download(request)), "DOWNLOAD_CORRUPT");
    assert_eq!(folder.names(), Vec::<String>::new());
    // And a length that is not the stated one is known before anything is fetched.
    let away = other.url("/m.gguf");
    let liar = Server::start(move |_| Reply::status(302).with("Location", away.clone()).with("X-Linked-Size", "30001"));
    let mut request = fake.request(&folder, "hf://org/repo/m.gguf");
    request.hub = Hub::new(&liar.url(""), None).unwrap();
    let n_fetches = other.fetches().len();
    assert_eq!(code(&download(request)), "DOWNLOAD_CORRUPT");
    assert_eq!(other.fetches().len(), n_fetches);
}

/// Of a hub that knows no ranges, whose file becomes another one of the same length once it was asked what there is.
#[test]
fn a_file_that_has_another_hash_when_it_is_fetched_is_another_file() {
    let (folder, old, new) = (Folder::new(), Content::model(30_000, 1), Content::model(30_000, 2));
    let expected = new.bytes.clone();
    let hub = Server::start(move |seen| {
        let content = if seen.number == 0 { &old } else { &new };
        let hash = hex(&sha256(&content.bytes));
        content.answer_whole(seen).with("X-Linked-ETag", format!("\"{hash}\""))
    });
    let mut request = folder.request(&["hf://org/repo/m.gguf"]);
    request.hub = Hub::new(&hub.url(""), None).unwrap();
    let ending = download(request);
    assert_eq!(code(&ending), "OK", "{ending:?}");
    assert!(folder.read("m.gguf") == expected);
    // Asked what there is, for the file, again what there is, and for the file.
    assert_eq!(hub.seen().len(), 4);
}

#[test]
fn a_whole_file_of_the_hub_is_known_by_its_hash() {
    let (folder, fake) = (Folder::new(), FakeHub::with(&["m.gguf"]));
    std::fs::write(folder.path().join("m.gguf"), content("m.gguf").bytes).unwrap();
    download(fake.request(&folder, "hf://org/repo")).unwrap();
    assert!(fake.files.fetches().is_empty());
    std::fs::write(folder.path().join("m.gguf"), Content::model(30_000, 9).bytes).unwrap();
    download(fake.request(&folder, "hf://org/repo")).unwrap();
    assert!(folder.read("m.gguf") == content("m.gguf").bytes);
}

#[test]
fn who_is_not_known_is_told_so() {
    for (status, code_of_hub, expected) in [
        (401, "RepoNotFound", "DOWNLOAD_NOT_FOUND"),
        (401, "GatedRepo", "DOWNLOAD_UNAUTHORIZED"),
        (403, "GatedRepo", "DOWNLOAD_UNAUTHORIZED"),
        (404, "RepoNotFound", "DOWNLOAD_NOT_FOUND"),
    ] {
        for id in ["hf://org/repo", "hf://org/repo/m.gguf"] {
            let folder = Folder::new();
            let hub = Server::start(move |_| Reply::status(status).with("X-Error-Code", code_of_hub));
            let mut request = folder.request(&[id]);
            request.hub = Hub::new(&hub.url(""), Some("t0ken".into())).unwrap();
            let ending = download(request);
            assert_eq!(code(&ending), expected, "{id}: {ending:?}");
            assert!(!format!("{ending:?}").contains("t0ken"));
        }
    }
}

#[test]
fn a_split_model_that_no_disk_holds_is_refused_before_its_first_part_comes() {
    // The second sum is one that no number of 64 bits holds.
    for (length, sum) in [
        ("1500000000000000000", "3000000000000000000"),
        ("9223372036854775808", "18446744073709551615"),
    ] {
        let folder = Folder::new();
        let server = Server::start(move |seen| {
            let reply = content(&seen.path).answer(seen).without("Content-Range");
            reply.with("Content-Range", format!("bytes 0-3/{length}"))
        });
        let ending = download(folder.request(&[&server.url("/m-00001-of-00002.gguf")]));
        assert_eq!(code(&ending), "DOWNLOAD_NO_SPACE", "{ending:?}");
        assert!(ending.unwrap_err().to_string().contains(sum));
        assert!(server.fetches().is_empty() && folder.names().is_empty());
    }
}

/// The first part is what a model is loaded by: it must not be there alone.
#[test]
fn the_first_part_has_its_name_last() {
    let folder = Folder::new();
    let server = Server::start(|seen| {
        if seen.path.contains("-00001-") && !seen.is_probe() {
            std::thread::sleep(Duration::from_secs(20));
        }
        content(&seen.path).answer(seen)
    });
    let mut request = folder.request(&[&server.url("/m-00001-of-00003.gguf")]);
    request.patience.stall = Duration::from_secs(60);
    let mut under_way = Download::start(request);
    let others = ["m-00002-of-00003.gguf", "m-00003-of-00003.gguf"];
    wait_until(|| others.iter().all(|name| folder.path().join(name).exists()));
    under_way.abort.set();
    assert_eq!(code(&under_way.end()), "ABORTED");
    assert_eq!(folder.names(), others);
}

/// What a server of files answers to who wants to go on, though the hub says what it has.
#[test]
fn what_is_good_outlasts_a_server_that_contradicts_the_hub() {
    let (folder, is_odd) = (Folder::new(), Arc::new(AtomicBool::new(true)));
    let is_odd_now = Arc::clone(&is_odd);
    let files = Server::altered(&content("m.gguf"), move |seen, reply| match seen.number {
        1 => reply.cut(10_000),
        number if number > 1 && is_odd_now.load(Ordering::SeqCst) => Reply {
            body: b"<html>Please log in</html>".to_vec(),
            ..Reply::status(200)
        },
        _ => reply,
    });
    let (away, hash) = (files.url("/m.gguf"), hex(&sha256(&content("m.gguf").bytes)));
    let hub = Server::start(move |_| {
        let reply = Reply::status(302).with("Location", away.clone()).with("X-Linked-Size", "30000");
        reply.with("X-Linked-ETag", format!("\"{hash}\""))
    });
    let mut request = folder.request(&["hf://org/repo/m.gguf"]);
    request.hub = Hub::new(&hub.url(""), None).unwrap();
    let ending = download(request.clone());
    assert_eq!(code(&ending), "DOWNLOAD_FAILED", "{ending:?}");
    assert_eq!(folder.names(), ["m.gguf.part", "m.gguf.part.json"]);
    is_odd.store(false, Ordering::SeqCst);
    download(request).unwrap();
    assert!(folder.read("m.gguf") == content("m.gguf").bytes);
    assert_eq!(files.starts().last(), Some(&Some(10_000)));
}
