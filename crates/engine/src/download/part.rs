//! A file on its way: `<name>.part`, and `<name>.part.json` with what is noted of it.
//!
//! Everything here waits for the disk, so it runs on a blocking thread. Whoever has a [`Part`] has its lock, in this process and in all
//! others. Invariant: the final name is given by [`Part::finish`] only, to what was checked and is on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fs4::{FileExt, TryLockError};
use tokio::sync::mpsc::Receiver;

use super::abort::Abort;
use super::meter::Meter;
use super::note::{Note, Remote, usable};
use super::ranges::Ranges;
use super::sha256::{Hasher, Sha256, hex};

/// What every model file begins with.
pub(super) const MAGIC: &[u8] = b"GGUF";

/// What is said of a file that does not.
pub(super) const NO_MODEL: &str = "it is no GGUF file";

/// What is read at a time.
const BLOCK: usize = 1 << 20;

/// What is to be written.
pub(super) enum Command {
    Write {
        offset: u64,
        bytes: Bytes,
    },
    /// What is here counts for nothing: it comes again from the beginning.
    Restart,
}

/// A locked partial file.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    target: PathBuf,
    remote: Remote,
    done: Ranges,
    hash: Option<(Hasher, u64)>,
    noted: Ranges,
    keeping: Keeping,
    abort: Abort,
    meter: Arc<Meter>,
}

/// Whether what is here is kept for another download.
enum Keeping {
    /// Nobody has looked yet at what an earlier one has left, or there was nothing.
    AsItWas { is_empty: bool },
    /// It is noted, and can be gone on with.
    Noted,
    /// The server has to be asked for all of it in any case.
    Never,
}

/// Why a part is not what it should be.
pub(super) enum Fault {
    /// The system's, with the number of bytes that are still to come.
    Disk(io::Error, u64),
    Corrupt(String),
    Aborted,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Disk(error, 0)
    }
}

impl Part {
    /// Opens the partial file of `target` and locks it. None while another download has it, or has just had it.
    pub(super) fn lock(target: &Path, abort: &Abort, meter: &Arc<Meter>) -> io::Result<Option<Self>> {
        if target.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        let path = beside(target, ".part");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        match FileExt::try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Whoever had it may have renamed or removed it between the two calls: then this is no partial file any more.
        let ours = same_file::Handle::from_file(file.try_clone()?)?;
        match same_file::Handle::from_path(&path) {
            Ok(named) if named == ours => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let is_empty = file.metadata()?.len() == 0;
        Ok(Some(Self {
            file,
            path,
            target: target.into(),
            remote: Remote::default(),
            done: Ranges::default(),
            hash: None,
            noted: Ranges::default(),
            keeping: Keeping::AsItWas { is_empty },
            abort: abort.clone(),
            meter: Arc::clone(meter),
        }))
    }

    /// Takes `remote` as what is to be fetched, and keeps what is here of it.
    pub(super) fn begin(&mut self, remote: &Remote) -> std::result::Result<(), Fault> {
        let note = fs::read_to_string(self.note_path()).ok().and_then(|text| Note::parse(&text));
        let length = self.file.metadata()?.len();
        self.done = usable(note.as_ref(), length, remote);
        self.noted = self.done.clone();
        self.remote = remote.clone();
        self.hash = remote.sha256.map(|_| (Hasher::new(), 0));
        // What an earlier download has left outlasts a server that gives no ranges for a while.
        let is_noted = remote.can_resume() || !self.done.is_empty();
        self.keeping = if is_noted { Keeping::Noted } else { Keeping::Never };
        if self.done.is_empty() {
            self.forget()?;
        }
        let missing = remote.total.map_or(0, |total| total.saturating_sub(self.done.len()));
        if available(&self.path).is_some_and(|available| available < missing) {
            return Err(Fault::Disk(ErrorKind::StorageFull.into(), missing));
        }
        self.meter.set_here(self.done.len());
        Ok(())
    }

    /// What is here.
    pub(super) fn done(&self) -> &Ranges {
        &self.done
    }

    /// Whether another download can go on with what is here.
    pub(super) fn can_resume(&self) -> bool {
        match self.keeping {
            Keeping::AsItWas { is_empty } => !is_empty,
            Keeping::Noted => !self.noted.is_empty(),
            Keeping::Never => false,
        }
    }

    /// Writes what comes until nothing comes any more. What is here is noted now and then, so that little is lost with the process.
    pub(super) fn write_all(
        mut self,
        mut commands: Receiver<Command>,
        handle: &tokio::runtime::Handle,
        every: Duration,
    ) -> (Self, std::result::Result<(), Fault>) {
        let received = self.receive(&mut commands, handle, every);
        // What has come is good, also when the disk is full by now or nobody wants to wait any longer.
        let noted = match received {
            Err(Fault::Corrupt(_)) => Ok(()),
            _ => self.note(),
        };
        (self, received.and(noted))
    }

    /// Checks that it is whole, writes it out and gives it its name.
    pub(super) fn finish(&mut self) -> std::result::Result<(), Fault> {
        let length = self.done.beginning();
        if self.remote.total.is_some_and(|total| total != length) {
            return Err(Fault::Corrupt(format!(
                "{length} bytes came, not {}",
                self.remote.total.unwrap_or_default()
            )));
        }
        self.check_magic(length)?;
        self.catch_up()?;
        let hash = self.hash.take().map(|(hasher, _)| hasher.finish());
        if let (Some(expected), Some(found)) = (self.remote.sha256, hash) {
            check_sha256(&expected, &found)?;
        }
        self.file.set_len(length)?;
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        // On Windows nobody else could read it as long as it is locked.
        let _ = FileExt::unlock(&self.file);
        // It has its name, so nothing that comes now makes a failure of it: some file systems sync no folders, and a note that stays is worth nothing.
        let _ = sync_folder(&self.target);
        let _ = self.remove_note();
        Ok(())
    }

    /// Removes it, and what is noted of it.
    pub(super) fn discard(self) -> io::Result<()> {
        self.remove_note()?;
        remove(&self.path)
    }

    fn receive(
        &mut self,
        commands: &mut Receiver<Command>,
        handle: &tokio::runtime::Handle,
        every: Duration,
    ) -> std::result::Result<(), Fault> {
        // Hashes what is here from before, while the first bytes are under way.
        self.catch_up()?;
        let mut next_note = Instant::now() + every;
        loop {
            let rest = next_note.saturating_duration_since(Instant::now());
            match handle.block_on(async { tokio::time::timeout(rest, commands.recv()).await }) {
                Ok(None) => return Ok(()),
                Ok(Some(Command::Write { offset, bytes })) => self.write(offset, &bytes)?,
                Ok(Some(Command::Restart)) => self.forget()?,
                Err(_) => {}
            }
            if Instant::now() >= next_note {
                self.note()?;
                next_note = Instant::now() + every;
            }
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> std::result::Result<(), Fault> {
        let end = offset + bytes.len() as u64;
        self.file.seek(SeekFrom::Start(offset))?;
        let missing = self.remote.total.unwrap_or(end).saturating_sub(self.done.len());
        self.file.write_all(bytes).map_err(|error| Fault::Disk(error, missing))?;
        self.done.add(offset..end);
        self.meter.set_here(self.done.len());
        if let Some((hasher, at)) = self.hash.as_mut().filter(|(_, at)| *at == offset) {
            hasher.update(bytes);
            *at = end;
        }
        let magic = MAGIC.len() as u64;
        if offset < magic && self.done.beginning() >= magic {
            self.check_magic(self.done.beginning())?;
        }
        self.catch_up()
    }

    /// Hashes what came before what was in front of it. It was written a moment ago, so the system still has it in memory.
    fn catch_up(&mut self) -> std::result::Result<(), Fault> {
        let end = self.done.beginning();
        let Some((hasher, at)) = self.hash.as_mut().filter(|(_, at)| *at < end) else {
            return Ok(());
        };
        self.file.seek(SeekFrom::Start(*at))?;
        let mut block = vec![0; BLOCK];
        while *at < end {
            if self.abort.is_set() {
                return Err(Fault::Aborted);
            }
            let rest = usize::try_from(end - *at).unwrap_or(BLOCK).min(BLOCK);
            self.file.read_exact(&mut block[..rest])?;
            hasher.update(&block[..rest]);
            *at += rest as u64;
        }
        Ok(())
    }

    fn check_magic(&mut self, length: u64) -> std::result::Result<(), Fault> {
        if length >= MAGIC.len() as u64 {
            let mut start = [0; MAGIC.len()];
            self.file.seek(SeekFrom::Start(0))?;
            self.file.read_exact(&mut start)?;
            if start == MAGIC {
                return Ok(());
            }
        }
        Err(Fault::Corrupt(NO_MODEL.into()))
    }

    /// Begins anew with nothing.
    pub(super) fn forget(&mut self) -> std::result::Result<(), Fault> {
        self.remove_note()?;
        self.file.set_len(0)?;
        self.done = Ranges::default();
        self.noted = Ranges::default();
        self.hash = self.hash.as_ref().map(|_| (Hasher::new(), 0));
        Ok(())
    }

    /// Notes what is here, after that is on the disk: a note must not outlive what it speaks of. It is on the disk itself before it takes the
    /// place of the one before, as an empty one would be worth nothing after a power failure.
    fn note(&mut self) -> std::result::Result<(), Fault> {
        let is_news = matches!(self.keeping, Keeping::Noted) && self.done != self.noted;
        let Some(note) = Note::of(&self.remote, &self.done).filter(|_| is_news) else {
            return Ok(());
        };
        self.file.sync_data()?;
        let new = self.new_note_path();
        let mut file = File::create(&new)?;
        file.write_all(note.to_text().as_bytes())?;
        file.sync_all()?;
        drop(file);
        fs::rename(&new, self.note_path())?;
        self.noted = note.done;
        Ok(())
    }

    fn note_path(&self) -> PathBuf {
        beside(&self.target, ".part.json")
    }

    /// What is not yet the note.
    fn new_note_path(&self) -> PathBuf {
        beside(&self.target, ".part.json.new")
    }

    fn remove_note(&self) -> io::Result<()> {
        remove(&self.new_note_path())?;
        remove(&self.note_path())
    }
}

/// How many of a file's bytes are not here, as far as lengths tell.
pub(super) fn missing(target: &Path, total: u64) -> u64 {
    let here = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    total.saturating_sub(here(target).max(here(&beside(target, ".part"))))
}

/// How many bytes the disk of a file has left. The folder need not be there yet.
pub(super) fn available(target: &Path) -> Option<u64> {
    target.ancestors().skip(1).find_map(|folder| fs4::available_space(folder).ok())
}

/// Whether the file at `path` may be the whole of `remote`, as far as its length tells; what cannot be looked at may.
pub(super) fn may_be_whole(path: &Path, remote: &Remote) -> bool {
    match fs::metadata(path) {
        Ok(file) => has_length(&file, remote),
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

fn has_length(file: &fs::Metadata, remote: &Remote) -> bool {
    file.is_file() && remote.total.map_or(remote.sha256.is_some(), |total| total == file.len())
}

/// How long the file at `path` is, if it is the whole of `remote`. By its hash if there is one, which takes a while for a large file.
pub(super) fn whole_length(path: &Path, remote: &Remote, abort: &Abort) -> std::result::Result<Option<u64>, Fault> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    let length = metadata.len();
    if !has_length(&metadata, remote) {
        return Ok(None);
    }
    let Some(expected) = remote.sha256 else {
        let mut start = [0; MAGIC.len()];
        let is_model = file.read_exact(&mut start).is_ok() && start == MAGIC;
        return Ok(is_model.then_some(length));
    };
    Ok((sha256_of(file, abort)? == expected).then_some(length))
}

fn sha256_of(mut file: File, abort: &Abort) -> std::result::Result<Sha256, Fault> {
    let mut hasher = Hasher::new();
    let mut block = vec![0; BLOCK];
    loop {
        if abort.is_set() {
            return Err(Fault::Aborted);
        }
        match file.read(&mut block)? {
            0 => return Ok(hasher.finish()),
            n_read => hasher.update(&block[..n_read]),
        }
    }
}

fn check_sha256(expected: &Sha256, found: &Sha256) -> std::result::Result<(), Fault> {
    if expected == found {
        return Ok(());
    }
    let (expected, found) = (hex(expected), hex(found));
    Err(Fault::Corrupt(format!("its SHA-256 is `{found}`, expected `{expected}`")))
}

fn beside(target: &Path, ending: &str) -> PathBuf {
    let mut path = target.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a new name outlast a power failure.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Folders cannot be opened as files; the file system's journal has the name.
#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}
