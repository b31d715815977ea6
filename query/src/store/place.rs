//! Where a table's files are, and what is done to them as files: in a folder, or in a bucket.
//!
//! ```text
//!  folder:  DIR/access_logs/day=…/<random>.unfinished ─ sync ─▶ rename ─▶ sync the folders
//!  bucket:  LOCAL/staging/<random>.unfinished ─▶ put under its name (it is there whole, or not at all) ─▶ removed from staging
//! ```

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{ObjectStore, ObjectStoreExt as _};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use url::Url;

use super::bucket::Bucket;
use super::cold::{UNFINISHED, day};
use super::durable::Durable;
use super::error::StoreError;
use super::folder;
use super::location::Location;

/// Bytes sent at a time.
const PART: usize = 8 << 20;
/// Parts of one file that are under way at a time.
const PARTS_AT_ONCE: usize = 4;
/// In the local folder of a bucket's writer: files that are not sent yet.
const STAGING: &str = "staging";
/// Bytes read at a time, to be hashed while they are in the cache.
const PIECE: usize = 1 << 20;

/// Where a table's files are. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Place(Arc<Kind>);

enum Kind {
    /// Absolute.
    Folder(PathBuf),
    Bucket {
        /// The table's part of it.
        bucket: Bucket,
        /// Where files are written before they are sent; `None`: nothing is written.
        staging: Option<PathBuf>,
    },
}

impl Place {
    /// The table of that name in a store.
    pub(crate) fn of(location: &Location, table: &str) -> Result<Self, StoreError> {
        let Some(Bucket { url, store, .. }) = location.bucket() else {
            return Ok(Self::folder(location.local()?.join(table)));
        };
        let mut table_url = url.clone();
        table_url.set_path(&format!("{}/{table}", url.path()));
        let prefix = location.bucket().map(|bucket| bucket.object(table)).unwrap_or_default();
        let bucket = Bucket { url: table_url, store: Arc::clone(store), prefix };
        let staging = location.local().ok().map(|local| local.join(STAGING));
        Ok(Self(Arc::new(Kind::Bucket { bucket, staging })))
    }

    /// A folder, absolute.
    pub(crate) fn folder(path: PathBuf) -> Self {
        Self(Arc::new(Kind::Folder(path)))
    }

    /// The folder, if it is one.
    pub(crate) fn as_folder(&self) -> Option<&Path> {
        match &*self.0 {
            Kind::Folder(path) => Some(path),
            Kind::Bucket { .. } => None,
        }
    }

    /// The bucket, if it is one.
    pub(crate) fn as_bucket(&self) -> Option<&Bucket> {
        match &*self.0 {
            Kind::Folder(_) => None,
            Kind::Bucket { bucket, .. } => Some(bucket),
        }
    }

    /// A file in it, for messages.
    pub(crate) fn shown(&self, name: &str) -> PathBuf {
        match &*self.0 {
            Kind::Folder(path) => path.join(name),
            Kind::Bucket { bucket, .. } if name.is_empty() => PathBuf::from(bucket.url.as_str()),
            Kind::Bucket { bucket, .. } => PathBuf::from(format!("{}/{name}", bucket.url)),
        }
    }

    /// The table's URL and the store that the Delta log is written through: what it puts is on stable storage before it has its name.
    pub(crate) fn log_store(&self) -> Result<(Url, Arc<dyn ObjectStore>), StoreError> {
        match &*self.0 {
            Kind::Folder(path) => {
                let no_url =
                    || StoreError::Foreign { folder: path.clone(), reason: "the path has no URL form".to_owned() };
                Ok((Url::from_directory_path(path).map_err(|()| no_url())?, Arc::new(Durable::new())))
            }
            Kind::Bucket { bucket, .. } => {
                let mut url = bucket.url.clone();
                url.set_path(&format!("{}/", url.path()));
                Ok((url, Arc::clone(&bucket.store)))
            }
        }
    }

    /// The store that DataFusion reads from, by name.
    pub(crate) fn read_from(&self) -> datafusion::common::Result<ObjectStoreUrl> {
        match &*self.0 {
            Kind::Folder(_) => Ok(ObjectStoreUrl::local_filesystem()),
            Kind::Bucket { bucket, .. } => ObjectStoreUrl::parse(&bucket.url[..url::Position::BeforePath]),
        }
    }

    /// Makes it known to DataFusion.
    pub(crate) fn register(&self, runtime: &RuntimeEnv) {
        if let Kind::Bucket { bucket, .. } = &*self.0 {
            runtime.register_object_store(&bucket.url, Arc::clone(&bucket.store));
        }
    }

    /// Where a file is in that store.
    pub(crate) fn object(&self, name: &str) -> Result<object_store::path::Path, object_store::path::Error> {
        match &*self.0 {
            Kind::Folder(path) => object_store::path::Path::from_absolute_path(path.join(name)),
            Kind::Bucket { bucket, .. } => Ok(bucket.object(name)),
        }
    }

    /// Where a new file of that day is written, on local disk; its folder is made if need be.
    pub(crate) fn begin(&self, day: Option<chrono::NaiveDate>) -> Result<PathBuf, StoreError> {
        let parent = match &*self.0 {
            Kind::Folder(path) => path.join(day::folder(day)),
            Kind::Bucket { staging: Some(staging), .. } => staging.clone(),
            Kind::Bucket { staging: None, .. } => return Err(StoreError::ReadOnly),
        };
        folder::create_private(&parent)?;
        Ok(parent.join(format!("{}.{UNFINISHED}", uuid::Uuid::new_v4().simple())))
    }

    /// Gives what was written at `from` its name. In a folder the name is on stable storage after [`Self::sync`]. Blocking.
    pub(crate) fn keep(&self, from: &Path, file: &File, name: &str) -> Result<(), StoreError> {
        match &*self.0 {
            Kind::Folder(path) => {
                file.sync_all().map_err(StoreError::io("sync", from))?;
                std::fs::rename(from, path.join(name)).map_err(StoreError::io("rename", from))
            }
            Kind::Bucket { bucket, .. } => {
                Handle::current().block_on(upload(bucket, from, name))?;
                std::fs::remove_file(from).map_err(StoreError::io("remove", from))
            }
        }
    }

    /// Puts the names of these files and of their folders on stable storage.
    pub(crate) fn sync<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<(), StoreError> {
        let Kind::Folder(path) = &*self.0 else { return Ok(()) };
        for name in names {
            path.join(name).parent().map_or(Ok(()), folder::sync_folder)?;
        }
        folder::sync_folder(path)
    }

    /// Removes a file that nobody names. If it cannot be removed, a vacuum will. Blocking.
    pub(crate) fn discard(&self, name: &str) {
        match &*self.0 {
            Kind::Folder(path) => drop(std::fs::remove_file(path.join(name))),
            Kind::Bucket { bucket, .. } => {
                drop(Handle::current().block_on(bucket.store.delete(&bucket.object(name))));
            }
        }
    }

    /// The size of a file, and the first 32 hexadecimal digits of its SHA-256. Reads all of it.
    pub(crate) async fn digest(&self, name: &str) -> Result<(u64, String), StoreError> {
        match &*self.0 {
            Kind::Folder(path) => {
                let path = path.join(name);
                let task = tokio::task::spawn_blocking(move || {
                    let bytes = std::fs::metadata(&path).map_err(StoreError::io("look at", &path))?.len();
                    Ok((bytes, digest_of(&path)?))
                });
                task.await.map_err(StoreError::Interrupted)?
            }
            Kind::Bucket { bucket, .. } => {
                let failed = |error| bucket.failed("read")(error);
                let mut stream = bucket.store.get(&bucket.object(name)).await.map_err(failed)?.into_stream();
                let (mut bytes, mut sha) = (0, Sha256::new());
                while let Some(piece) = stream.next().await {
                    let piece = piece.map_err(failed)?;
                    bytes += piece.len() as u64;
                    sha.update(&piece);
                }
                Ok((bytes, digits(sha)))
            }
        }
    }
}

/// Removes what a crash left in the local folder of a bucket's writer: files that were not sent, or not named.
pub(crate) fn clear_staging(local: &Path) -> Result<(), StoreError> {
    let staging = local.join(STAGING);
    match std::fs::remove_dir_all(&staging) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("remove", staging)(error)),
        _ => Ok(()),
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.shown("") == other.shown("")
    }
}

impl Eq for Place {}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shown("").fmt(f)
    }
}

/// Sends a file, in parts if it is large.
async fn upload(bucket: &Bucket, from: &Path, name: &str) -> Result<(), StoreError> {
    let object = bucket.object(name);
    let failed = |error| bucket.failed("write to")(error);
    let size = std::fs::metadata(from).map_err(StoreError::io("look at", from))?.len();
    if size <= PART as u64 {
        let bytes = std::fs::read(from).map_err(StoreError::io("read", from))?;
        return bucket.store.put(&object, bytes.into()).await.map(drop).map_err(failed);
    }
    let pieces = pieces(from, PART)?;
    let mut upload = bucket.store.put_multipart(&object).await.map_err(failed)?;
    let sent = async {
        // a few parts under way at a time bound the memory
        let mut parts = FuturesUnordered::new();
        for piece in pieces {
            if parts.len() >= PARTS_AT_ONCE {
                parts.try_next().await.map_err(failed)?;
            }
            parts.push(upload.put_part(piece?.into()));
        }
        while parts.try_next().await.map_err(failed)?.is_some() {}
        upload.complete().await.map(drop).map_err(failed)
    };
    let sent = sent.await;
    if sent.is_err() {
        // parts that belong to nothing cost money; if this does not work either, a rule of the bucket removes them
        drop(upload.abort().await);
    }
    sent
}

/// The bytes of a file, a piece at a time.
fn pieces(path: &Path, size: usize) -> Result<impl Iterator<Item = Result<Vec<u8>, StoreError>>, StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("open", path))?;
    let path = path.to_owned();
    Ok(std::iter::from_fn(move || {
        let mut piece = Vec::with_capacity(size);
        let read = std::io::Read::take(&mut file, size as u64);
        match std::io::Read::read_to_end(&mut { read }, &mut piece) {
            Ok(0) => None,
            Ok(_) => Some(Ok(piece)),
            Err(error) => Some(Err(StoreError::io("read", &path)(error))),
        }
    }))
}

/// The first 32 hexadecimal digits of the SHA-256 of a file. Blocking.
pub(crate) fn digest_of(path: &Path) -> Result<String, StoreError> {
    let mut sha = Sha256::new();
    for piece in pieces(path, PIECE)? {
        sha.update(&piece?);
    }
    Ok(digits(sha))
}

fn digits(sha: Sha256) -> String {
    sha.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
