//! The data folder itself: which format it has, who may write to it, and getting its files onto stable storage.
//!
//! ```text
//!  DIR/meshwarden.json      {"format":3}                    what a newer or older program checks first
//!  DIR/meshwarden.lock      locked while a writer is open; holds its process id, for the message only
//!  DIR/coverage/…           see `coverage`
//!  DIR/access_logs, DIR/rejects, DIR/edges_1m               see `delta`
//! ```
//! A folder of a newer format is refused and left alone; one of an older format is read as it is, and brought up when it is opened for writing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::bucket::Bucket;
use super::error::StoreError;

/// The format that this program writes, and the newest that it reads. 1: tables without partitions; 2: no roll-ups. Both are brought up when they are opened for writing.
const FORMAT: u64 = 3;
pub(crate) const FORMAT_FILE: &str = "meshwarden.json";
const LOCK_FILE: &str = "meshwarden.lock";

#[derive(Serialize, Deserialize)]
struct FormatFile {
    format: u64,
}

/// The right to write to a folder; given back when dropped.
#[derive(Debug)]
pub(crate) struct WriterLock(#[allow(dead_code)] File);

/// Creates the folder if need be, takes the writer's lock, and checks or writes the format.
pub(crate) fn claim(folder: &Path) -> Result<(PathBuf, WriterLock), StoreError> {
    // what is in it is for its owner alone; a folder that is there keeps the mode that it was given
    let known = folder.ancestors().take_while(|part| !part.as_os_str().is_empty()).find(|part| part.exists());
    let known = known.map(Path::to_owned);
    create_private(folder)?;
    // the names of what was made, or a power cut takes all that is in it
    for made in folder.ancestors().take_while(|part| Some(*part) != known.as_deref()) {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_folder(parent.unwrap_or(Path::new(".")))?;
    }
    let folder = folder.canonicalize().map_err(StoreError::io("find", folder))?;
    // The format first: a folder of a newer version is not even to be locked.
    let format = check_format(&folder)?;
    let lock = lock(&folder)?;
    if format.is_none() {
        // before there is anything that an older program could misunderstand
        write_format(&folder)?;
    }
    Ok((folder, lock))
}

/// Says that the folder has this program's format; done when what an older one wrote was brought up.
pub(crate) fn write_format(folder: &Path) -> Result<(), StoreError> {
    if check_format(folder)? == Some(FORMAT) {
        return Ok(());
    }
    write_durably(&folder.join(FORMAT_FILE), format!("{{\"format\":{FORMAT}}}\n").as_bytes())
}

/// Finds a folder to read and checks its format.
pub(crate) fn find(folder: &Path) -> Result<PathBuf, StoreError> {
    let nothing = || StoreError::NoData { folder: folder.to_owned() };
    let found = match folder.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(nothing()),
        other => other.map_err(StoreError::io("find", folder))?,
    };
    check_format(&found)?.map(|_| found).ok_or_else(nothing)
}

/// The format that the folder declares, which this program reads (`None`: it declares none).
fn check_format(folder: &Path) -> Result<Option<u64>, StoreError> {
    let path = folder.join(FORMAT_FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(StoreError::io("read", &path))?,
    };
    understand(&text, folder, path).map(Some)
}

/// The format that the file at `path` declares for `folder`.
fn understand(text: &str, folder: &Path, path: PathBuf) -> Result<u64, StoreError> {
    match serde_json::from_str::<FormatFile>(text) {
        Ok(FormatFile { format: found }) if found > FORMAT => {
            Err(StoreError::NewerFormat { folder: folder.to_owned(), found, known: FORMAT })
        }
        Ok(FormatFile { format: 0 }) => {
            Err(StoreError::BadFormat { path, reason: "format 0 never existed".to_owned() })
        }
        Ok(FormatFile { format }) => Ok(format),
        Err(error) => Err(StoreError::BadFormat { path, reason: error.to_string() }),
    }
}

/// Checks that a bucket has this program's format, or one that it reads.
pub(crate) async fn find_in(bucket: &Bucket) -> Result<(), StoreError> {
    let place = PathBuf::from(bucket.url.as_str());
    let text = bucket.format_file().await?.ok_or_else(|| StoreError::NoData { folder: place.clone() })?;
    understand(&text, &place, place.join(FORMAT_FILE)).map(drop)
}

/// The same for a bucket that is to be written to: says that it has this program's format, if it says nothing yet.
pub(crate) async fn claim_in(bucket: &Bucket) -> Result<(), StoreError> {
    if bucket.format_file().await?.is_none() {
        bucket.write_format_file(format!("{{\"format\":{FORMAT}}}\n")).await?;
    }
    find_in(bucket).await?;
    // That the first one wins is what keeps writers from overwriting each other's commits, and not every store that speaks S3 can do it.
    let text = bucket.format_file().await?.unwrap_or_default();
    if bucket.write_format_file(text).await? {
        let reason = "it overwrites what must only be written once (it ignores If-None-Match), so writers would destroy each other's commits";
        return Err(StoreError::Location { data: PathBuf::from(bucket.url.as_str()), reason: reason.to_owned() });
    }
    Ok(())
}

/// Creates a folder into which only its owner may look.
pub(crate) fn create_private(folder: &Path) -> Result<(), StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(StoreError::io("create folder", folder))
}

fn lock(folder: &Path) -> Result<WriterLock, StoreError> {
    let path = folder.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let process = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok());
            let holder = process.map(|id| format!(" (process {id})")).unwrap_or_default();
            return Err(StoreError::Locked { folder: folder.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", path)(error)),
    }
    // For the message above only, so it need not reach the disk.
    let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    noted.map_err(StoreError::io("write", &path))?;
    Ok(WriterLock(file))
}

/// Replaces a small file as a whole: new name, sync, rename, sync the folder.
pub(crate) fn write_durably(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    std::fs::write(&new, content).map_err(StoreError::io("write", &new))?;
    sync_file(&new)?;
    std::fs::rename(&new, path).map_err(StoreError::io("replace", path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Puts a file's content on stable storage.
pub(crate) fn sync_file(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(StoreError::io("sync", path))
}

/// Puts a folder's list of names on stable storage. Where folders cannot be opened as files (Windows) the file system does it.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    if cfg!(unix) { sync_file(path) } else { Ok(()) }
}
