//! A folder as an object store whose objects are on stable storage before they have a name.
//!
//! ```text
//!  put ─▶ NAME.unsynced ─▶ sync ─▶ named (only if there is none, where that is asked for) ─▶ sync of the folder
//! ```
//! The library's own local store syncs nothing: after a power cut a commit may have a name and no bytes, and no reader of Delta opens a table whose newest
//! commit is half of one. (Found by cutting the power after any call: `api/tests/cli/power.rs`.)

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    RenameTargetMode, Result, UploadPart,
};

use super::folder;

/// What the name of an object ends in that is not on stable storage yet.
const UNSYNCED: &str = ".unsynced";

/// A file in whose folder nobody hears that a name was given: for tests.
#[cfg(test)]
pub(super) const LOST_ANSWER: &str = "lost-answer";

/// The store.
#[derive(Debug, Clone)]
pub(super) struct Durable(Arc<LocalFileSystem>);

impl Durable {
    /// The whole file system.
    pub(super) fn new() -> Self {
        Self(Arc::new(LocalFileSystem::new()))
    }

    /// Gives what stands under the name of an unsynced object its own name.
    async fn name(&self, location: &Path, mode: RenameTargetMode) -> Result<()> {
        let unsynced = unsynced(location);
        self.synced(&unsynced, folder::sync_file).await?;
        let named = self.0.rename_opts(&unsynced, location, RenameOptions::new().with_target_mode(mode)).await;
        if named.is_err() {
            // somebody else was first; what is left of this one is written over the next time
            let _ = self.0.delete(&unsynced).await;
        }
        named?;
        self.synced(location, |path| {
            let folder = path.parent().unwrap_or(path);
            #[cfg(test)]
            if folder.join(LOST_ANSWER).exists() {
                return Err(super::StoreError::io("sync", folder)(std::io::ErrorKind::Other.into()));
            }
            folder::sync_folder(folder)
        })
        .await
    }

    async fn synced(
        &self,
        location: &Path,
        sync: impl FnOnce(&std::path::Path) -> Result<(), super::StoreError> + Send + 'static,
    ) -> Result<()> {
        let path = self.0.path_to_filesystem(location)?;
        let failed = |source| Error::Generic { store: "durable", source };
        let synced = tokio::task::spawn_blocking(move || sync(&path)).await.map_err(|error| failed(Box::new(error)))?;
        synced.map_err(|error| failed(Box::new(error)))
    }
}

fn unsynced(location: &Path) -> Path {
    Path::from(format!("{location}{UNSYNCED}"))
}

impl fmt::Display for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Durable({})", self.0)
    }
}

#[async_trait]
impl ObjectStore for Durable {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        let mode = match std::mem::replace(&mut options.mode, PutMode::Overwrite) {
            PutMode::Create => RenameTargetMode::Create,
            PutMode::Overwrite => RenameTargetMode::Overwrite,
            // not of a folder: it says so itself
            PutMode::Update(version) => {
                options.mode = PutMode::Update(version);
                return self.0.put_opts(location, payload, options).await;
            }
        };
        let put = self.0.put_opts(&unsynced(location), payload, options).await?;
        self.name(location, mode).await?;
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.0.put_multipart_opts(&unsynced(location), options).await?;
        Ok(Box::new(Upload { upload, store: self.clone(), location: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await
    }
}

/// An object that comes in parts.
#[derive(Debug)]
struct Upload {
    upload: Box<dyn MultipartUpload>,
    store: Durable,
    location: Path,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let put = self.upload.complete().await?;
        self.store.name(&self.location, RenameTargetMode::Overwrite).await?;
        Ok(put)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[tokio::test]
    async fn a_name_is_given_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Durable::new();
        let at = |name: &str| Path::from_absolute_path(folder.path().join(name)).unwrap();
        let create = || PutOptions::from(PutMode::Create);
        store.put_opts(&at("0.json"), "one".into(), create()).await.unwrap();
        let again = store.put_opts(&at("0.json"), "two".into(), create()).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
        store.put_opts(&at("last"), "one".into(), PutOptions::default()).await.unwrap();
        store.put_opts(&at("last"), "two".into(), PutOptions::default()).await.unwrap();
        let mut upload = store.put_multipart_opts(&at("parts"), PutMultipartOptions::default()).await.unwrap();
        upload.put_part("a".into()).await.unwrap();
        upload.put_part("b".into()).await.unwrap();
        assert!(!folder.path().join("parts").exists());
        upload.complete().await.unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!((read("0.json"), read("last"), read("parts")), ("one".into(), "two".into(), "ab".into()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
