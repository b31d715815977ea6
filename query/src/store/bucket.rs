//! A part of an object store: which one, how it is reached, and the file that says which data format it has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use url::Url;

use super::error::StoreError;
use super::folder;
use super::location::wrong;

/// Schemes of object stores.
const SCHEMES: [&str; 7] = ["s3", "s3a", "gs", "az", "adl", "abfs", "abfss"];
/// How the variables begin that configure them.
const VARIABLES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];
/// A part of an object store. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// `s3://bucket/prefix`, no slash at the end.
    pub(crate) url: Url,
    /// The whole bucket.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The prefix in it.
    pub(crate) prefix: object_store::path::Path,
}

impl Bucket {
    /// The bucket that a URL names; `None`: it is no URL of an object store.
    pub(super) fn open(data: &Path) -> Result<Option<Self>, StoreError> {
        let text = data.to_str().unwrap_or_default();
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let Some(scheme) = scheme.filter(|scheme| SCHEMES.contains(&scheme.as_str())) else { return Ok(None) };
        // what it says may be a secret with a slash in it
        let unreadable = |_| wrong(Path::new("--data"), &format!("this {scheme}:// URL cannot be read"));
        let mut url = Url::parse(text).map_err(unreadable)?;
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
        let (store, prefix) = connect(&url, variables).map_err(|source| match cfg!(feature = "object-store") {
            true => StoreError::Object { action: "use", url: shown.clone(), source },
            false => wrong(&shown, "this meshwarden was built without object stores (cargo feature object-store)"),
        })?;
        Ok(Some(Self { url, store, prefix }))
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

/// Opens the store of a URL; answers it, and the prefix that the URL says.
#[cfg(feature = "object-store")]
fn connect(
    url: &Url,
    variables: impl Iterator<Item = (String, String)>,
) -> object_store::Result<(Arc<dyn ObjectStore>, object_store::path::Path)> {
    use object_store::ObjectStoreScheme;
    use object_store::aws::AmazonS3Builder;
    use object_store::azure::MicrosoftAzureBuilder;
    use object_store::client::SpawnedReqwestConnector;
    use object_store::gcp::GoogleCloudStorageBuilder;
    /// The crate's own function for this has no say in where requests run: they would on whichever threads ask first, those that give way included, and whoever
    /// takes the same connection next would wait for these. All run where the program's other connections do.
    macro_rules! built {
        ($builder:ty) => {{
            let builder = variables.fold(<$builder>::new().with_url(url.as_str()), |builder, (name, value)| {
                // what is no setting of this store is left alone
                match name.parse() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                }
            });
            Arc::new(match tokio::runtime::Handle::try_current() {
                Ok(runtime) => builder.with_http_connector(SpawnedReqwestConnector::new(runtime)).build()?,
                Err(_) => builder.build()?,
            })
        }};
    }
    let (scheme, prefix) = ObjectStoreScheme::parse(url)?;
    let store: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::AmazonS3 => built!(AmazonS3Builder),
        ObjectStoreScheme::GoogleCloudStorage => built!(GoogleCloudStorageBuilder),
        ObjectStoreScheme::MicrosoftAzure => built!(MicrosoftAzureBuilder),
        _ => {
            return Err(object_store::Error::NotImplemented {
                operation: "reach".to_owned(),
                implementer: url.scheme().to_owned(),
            });
        }
    };
    Ok((store, prefix))
}

#[cfg(not(feature = "object-store"))]
fn connect(
    url: &Url,
    _variables: impl Iterator<Item = (String, String)>,
) -> object_store::Result<(Arc<dyn ObjectStore>, object_store::path::Path)> {
    Err(object_store::Error::NotImplemented { operation: "reach".to_owned(), implementer: url.scheme().to_owned() })
}
