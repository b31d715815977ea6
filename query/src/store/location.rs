//! Where a store is: a folder, or a bucket of an object store, with a folder on local disk for what has to be there.
//!
//! ```text
//!  /var/lib/meshwarden             everything in that folder
//!  s3://bucket/prefix  + folder    tables in the bucket; journal, keys, findings and coverage in the folder
//!  gs://, az://                    likewise
//! ```
//! A bucket may have several writers, each with a folder of its own: whose commit comes first is decided by a conditional put, and each says under its
//! own name how far it got ([`Location::writer`]). Credentials and endpoints come from the variables that the clouds' own tools read (`AWS_…`, `GOOGLE_…`,
//! `AZURE_…`).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::bucket::Bucket;
use super::error::StoreError;
use super::folder;

/// The name of the one writer of a folder.
const ONLY_WRITER: &str = "meshwarden";
/// In the local folder of a bucket's writer: its name.
const WRITER_FILE: &str = "writer-id";

/// Where a store is.
#[derive(Clone, Debug)]
pub struct Location {
    local: Option<PathBuf>,
    bucket: Option<Bucket>,
}

impl Location {
    /// `data` is a folder or the URL of an object store; then `local` is the folder for what stays on local disk (it may be absent where nothing is
    /// written).
    ///
    /// # Errors
    /// If it is the URL of no object store that this program knows, or its configuration is not right.
    pub fn parse(data: &Path, local: Option<&Path>) -> Result<Self, StoreError> {
        match (Bucket::open(data)?, local) {
            (None, Some(_)) => Err(wrong(data, "it is a folder, so it needs no other for what stays on local disk")),
            (None, None) => Ok(Self::from(data)),
            (bucket, local) => Ok(Self { local: local.map(Path::to_owned), bucket }),
        }
    }

    /// The folder on local disk.
    ///
    /// # Errors
    /// If there is none.
    pub fn local(&self) -> Result<&Path, StoreError> {
        let needed = "journal, keys and findings stay on local disk: say in which folder (--local DIR)";
        self.local.as_deref().ok_or_else(|| wrong(&self.shown(), needed))
    }

    /// The same with that folder on local disk.
    pub(crate) fn within(self, folder: &Path) -> Self {
        Self { local: Some(folder.to_owned()), ..self }
    }

    /// In a bucket that is open.
    #[cfg(test)]
    pub(crate) fn in_bucket(local: &Path, bucket: Bucket) -> Self {
        Self { local: Some(local.to_owned()), bucket: Some(bucket) }
    }

    pub(crate) fn bucket(&self) -> Option<&Bucket> {
        self.bucket.as_ref()
    }

    /// For messages.
    pub(crate) fn shown(&self) -> PathBuf {
        let url = self.bucket.as_ref().map(|bucket| PathBuf::from(bucket.url.as_str()));
        url.or_else(|| self.local.clone()).unwrap_or_default()
    }

    /// The name under which this writer says in the tables how far it got; made when it is first asked for, with the right to write to the folder.
    pub(crate) fn writer(&self) -> Result<String, StoreError> {
        if self.bucket.is_none() {
            return Ok(ONLY_WRITER.to_owned());
        }
        let path = self.local()?.join(WRITER_FILE);
        match self.known_writer()? {
            Some(name) => Ok(name),
            None => {
                let name = format!("{ONLY_WRITER}-{}", uuid::Uuid::new_v4());
                folder::write_durably(&path, name.as_bytes())?;
                Ok(name)
            }
        }
    }

    /// The same, if it has one.
    pub(crate) fn known_writer(&self) -> Result<Option<String>, StoreError> {
        let Some(local) = self.local.as_deref() else { return Ok(None) };
        if self.bucket.is_none() {
            return Ok(Some(ONLY_WRITER.to_owned()));
        }
        let path = local.join(WRITER_FILE);
        match std::fs::read_to_string(&path) {
            Ok(name) => Ok(Some(name.trim().to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }
}

impl From<&Path> for Location {
    fn from(folder: &Path) -> Self {
        Self { local: Some(folder.to_owned()), bucket: None }
    }
}

impl From<&PathBuf> for Location {
    fn from(folder: &PathBuf) -> Self {
        Self::from(folder.as_path())
    }
}

pub(super) fn wrong(data: &Path, reason: &str) -> StoreError {
    StoreError::Location { data: data.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn folders_and_urls() {
        let parse = |data: &str, local: Option<&str>| Location::parse(Path::new(data), local.map(Path::new));
        for folder in ["/var/lib/meshwarden", "data", "C:\\data", "s3", "./s3:/x"] {
            let location = parse(folder, None).unwrap();
            assert_eq!((location.local().unwrap(), location.bucket().is_none()), (Path::new(folder), true));
            assert_eq!(location.writer().unwrap(), "meshwarden");
        }
        let error = parse("/var/lib/meshwarden", Some("/x")).unwrap_err().to_string();
        assert!(error.contains("it is a folder"), "{error}");
    }

    #[cfg(feature = "object-store")]
    #[test]
    fn a_bucket_needs_a_folder_to_be_written() {
        let data = Path::new("s3://bucket/some/prefix/");
        let location = Location::parse(data, None).unwrap();
        assert!(location.local().unwrap_err().to_string().contains("--local"));
        assert_eq!(location.bucket().unwrap().object("a/b").as_ref(), "some/prefix/a/b");
        // as it is, and not encoded twice
        let odd = Location::parse(Path::new("s3://bucket/~team/ä b"), None).unwrap();
        let prefix = odd.bucket().unwrap().prefix.clone();
        assert_eq!(odd.bucket().unwrap().object("x").as_ref(), format!("{prefix}/x"));
        for (data, reason) in [
            ("s3://KEY:SECRET@bucket/p", "credentials"),
            ("s3://KEY@bucket/p", "credentials"),
            ("s3://KEY:SE/CRET@bucket/p", "this s3:// URL cannot be read"),
            ("S3A://KEY:SE/CRET@bucket/p", "this s3a:// URL cannot be read"),
            ("s3://bucket/p?x=1", "nothing may follow"),
        ] {
            let error = Location::parse(Path::new(data), None).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("SE"), "{error}");
        }
        assert_eq!(location.shown(), Path::new("s3://bucket/some/prefix"));
        let folder = tempfile::tempdir().unwrap();
        let location = Location::parse(data, Some(folder.path())).unwrap();
        assert_eq!(location.known_writer().unwrap(), None);
        let name = location.writer().unwrap();
        assert_eq!((location.writer().unwrap(), name.len()), (name, "meshwarden-".len() + 36));
    }
}
