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
use std::sync::Arc;

use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use url::Url;

use super::error::StoreError;
use super::folder;

/// Schemes of object stores.
const SCHEMES: [&str; 7] = ["s3", "s3a", "gs", "az", "adl", "abfs", "abfss"];
/// How the variables begin that configure them.
const VARIABLES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];
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

/// A part of an object store.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// `s3://bucket/prefix`, no slash at the end.
    pub(crate) url: Url,
    /// The whole bucket.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The prefix in it.
    pub(crate) prefix: object_store::path::Path,
}

impl Location {
    /// `data` is a folder or the URL of an object store; then `local` is the folder for what stays on local disk (it may be absent where nothing is
    /// written).
    ///
    /// # Errors
    /// If it is the URL of no object store that this program knows, or its configuration is not right.
    pub fn parse(data: &Path, local: Option<&Path>) -> Result<Self, StoreError> {
        let url = data.to_str().and_then(|data| Url::parse(data).ok());
        let Some(url) = url.filter(|url| SCHEMES.contains(&url.scheme())) else {
            return match local {
                Some(_) => Err(wrong(data, "it is a folder, so it needs no other for what stays on local disk")),
                None => Ok(Self::from(data)),
            };
        };
        Ok(Self { local: local.map(Path::to_owned), bucket: Some(Bucket::open(url)?) })
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

impl Bucket {
    fn open(mut url: Url) -> Result<Self, StoreError> {
        // what stands in a command line and in messages is no secret
        if url.password().is_some() || (!url.username().is_empty() && !url.scheme().starts_with("abfs")) {
            let _ = (url.set_password(None), url.set_username(""));
            return Err(wrong(
                Path::new(url.as_str()),
                "credentials do not belong into a URL: they come from the environment",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(
                Path::new(url.as_str()),
                "nothing may follow the path: settings come from the environment",
            ));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        let shown = PathBuf::from(url.as_str());
        // names without these would be taken as settings, too: a pod's REGION or TOKEN is none
        let ours = |name: &String| VARIABLES.iter().any(|begin| name.starts_with(begin));
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(ours)?;
            Some((name.to_ascii_lowercase(), value.into_string().ok()?))
        });
        let (store, prefix) =
            object_store::parse_url_opts(&url, variables).map_err(|source| match cfg!(feature = "object-store") {
                true => StoreError::Object { action: "use", url: shown.clone(), source },
                false => wrong(&shown, "this meshwarden was built without object stores (cargo feature object-store)"),
            })?;
        Ok(Self { url, store: Arc::from(store), prefix })
    }

    /// What is under that name in it.
    pub(crate) fn object(&self, name: &str) -> object_store::path::Path {
        // part by part: what the prefix has encoded must not be encoded again
        self.prefix.parts().chain(object_store::path::Path::from(name).parts()).collect()
    }

    pub(crate) fn failed(&self, action: &'static str) -> impl FnOnce(object_store::Error) -> StoreError {
        let url = PathBuf::from(self.url.as_str());
        move |source| StoreError::Object { action, url, source }
    }

    /// What the format file says; `None`: there is none.
    pub(crate) async fn format_file(&self) -> Result<Option<String>, StoreError> {
        let failed = |error| self.failed("read")(error);
        match self.store.get(&self.object(folder::FORMAT_FILE)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
            Ok(found) => {
                let bytes = found.bytes().await.map_err(failed)?;
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            }
        }
    }

    /// Writes the format file, unless there is one; whether it did.
    pub(crate) async fn write_format_file(&self, text: String) -> Result<bool, StoreError> {
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&self.object(folder::FORMAT_FILE), text.into(), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.failed("write to")(error)),
        }
    }
}

fn wrong(data: &Path, reason: &str) -> StoreError {
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
            ("s3://bucket/p?x=1", "nothing may follow"),
        ] {
            let error = Location::parse(Path::new(data), None).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("SECRET"), "{error}");
        }
        assert_eq!(location.shown(), Path::new("s3://bucket/some/prefix"));
        let folder = tempfile::tempdir().unwrap();
        let location = Location::parse(data, Some(folder.path())).unwrap();
        assert_eq!(location.known_writer().unwrap(), None);
        let name = location.writer().unwrap();
        assert_eq!((location.writer().unwrap(), name.len()), (name, "meshwarden-".len() + 36));
    }
}
