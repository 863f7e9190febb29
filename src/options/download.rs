//! Options of `downloadModel`, and what the environment says where they say nothing.

use std::path::PathBuf;

use llama_worker_engine::download::{Hub, Patience, Proxies, Request, Source};

use super::fields::{Any, Fields, elements, invalid, invalid_text};
use crate::error::{Result, refusal};

/// Under the working directory, unless `dir` says otherwise.
const DEFAULT_DIRECTORY: &str = "models";

/// What is asked for under the option or parameter `name`.
pub(crate) fn download(name: &str, ids: &Any<'_>, fields: &Fields<'_>) -> Result<Request> {
    let sources = sources(name, ids)?;
    let sha256 = sha256(fields)?;
    if sha256.is_some() && sources.len() != 1 {
        return Err(invalid_text(
            "sha256",
            format!("given for {} models", sources.len()),
            "one model that is one file",
        ));
    }
    Ok(Request {
        sources,
        directory: directory(fields)?,
        sha256,
        hub: hub(fields)?,
        proxies: proxies(),
        certificates: variable("NODE_EXTRA_CA_CERTS").map(PathBuf::from),
        patience: Patience::default(),
    })
}

fn sources(name: &str, ids: &Any<'_>) -> Result<Vec<Source>> {
    const EXPECTED: &str = "a model id or an array of them";
    let parse = |id: &str| Source::parse(id).map_err(refusal);
    if let Any::C(id) = ids {
        return Ok(vec![parse(id)?]);
    }
    let list = elements(ids)?.ok_or_else(|| invalid(name, ids, EXPECTED))?;
    let read = |(index, element): (usize, Result<Any<'_>>)| match element? {
        Any::C(id) => parse(&id),
        other => Err(invalid(&format!("{name}[{index}]"), &other, "a model id")),
    };
    let sources = list.enumerate().map(read).collect::<Result<Vec<_>>>()?;
    if sources.is_empty() {
        return Err(invalid_text(name, "an empty array".into(), EXPECTED));
    }
    Ok(sources)
}

fn directory(fields: &Fields<'_>) -> Result<PathBuf> {
    const EXPECTED: &str = "the path of a folder";
    let given = fields.string("dir")?;
    if let Some(text) = given.as_ref().filter(|text| text.is_empty() || text.contains('\0')) {
        return Err(fields.refused("dir", &Any::C(text.clone()), EXPECTED));
    }
    let path = given.unwrap_or_else(|| DEFAULT_DIRECTORY.into());
    std::path::absolute(&path).map_err(|_| {
        fields.refused(
            "dir",
            &Any::C(path.clone()),
            "a folder that can be found from the working directory",
        )
    })
}

fn sha256(fields: &Fields<'_>) -> Result<Option<[u8; 32]>> {
    const EXPECTED: &str = "64 hexadecimal digits";
    let Some(text) = fields.string("sha256")? else {
        return Ok(None);
    };
    let parsed = llama_worker_engine::download::parse_sha256(&text);
    parsed
        .map(Some)
        .ok_or_else(|| fields.refused("sha256", &Any::C(text.clone()), EXPECTED))
}

fn hub(fields: &Fields<'_>) -> Result<Hub> {
    let token = match fields.get("token")? {
        None => None,
        Some(Any::C(token)) => Some(token),
        // Whatever it is, it was meant to be a secret.
        Some(_) => return Err(invalid_text("token", "something else".into(), "a string")),
    };
    let (named, usual) = (fields.string("endpoint")?, variable("HF_ENDPOINT"));
    let usual = usual.as_deref().unwrap_or(Hub::DEFAULT_ENDPOINT);
    let endpoint = named.as_deref().unwrap_or(usual);
    let hub = |token: Option<String>| Hub::new(endpoint, token.map(|token| token.trim().to_owned())).map_err(refusal);
    // Whoever names a hub, in a message too, is not told the secret that the environment has for its own.
    match token {
        None if hub(None)?.is_at(usual) => hub(variable("HF_TOKEN")),
        given => hub(given),
    }
}

/// Read here, on JavaScript's thread: it is the one that may change them.
fn proxies() -> Proxies {
    let either = |lower: &str, upper: &str| variable(lower).or_else(|| variable(upper));
    Proxies {
        // As a CGI variable the other spelling would be a header of whoever asks a web server.
        http: variable("http_proxy").or_else(|| variable("HTTP_PROXY").filter(|_| variable("REQUEST_METHOD").is_none())),
        https: either("https_proxy", "HTTPS_PROXY"),
        all: either("all_proxy", "ALL_PROXY"),
        except: either("no_proxy", "NO_PROXY"),
    }
}

/// A variable of the environment that says something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
