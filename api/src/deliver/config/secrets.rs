//! Where secrets come from: the configuration itself, variables of the environment, files.

use std::path::Path;

use super::{ConfigError, OneOrMany};
use crate::deliver::webhook::Secret;

/// Reads variables and files. [`Machine`] in the product, a closure's cousin in tests.
pub trait SecretSource {
    /// The value of an environment variable.
    ///
    /// # Errors
    /// Why there is none.
    fn variable(&self, name: &str) -> Result<String, String>;

    /// The content of a file.
    ///
    /// # Errors
    /// Why there is none.
    fn file(&self, path: &Path) -> Result<String, String>;
}

/// This machine's environment and files.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

impl SecretSource for Machine {
    fn variable(&self, name: &str) -> Result<String, String> {
        std::env::var(name).map_err(|_| "the variable is not set, or not UTF-8".to_owned())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// The secrets of one sink. A variable or a file may hold several, separated by white space.
pub(super) fn collect(
    name: &str,
    (inline, variables, files): (Option<OneOrMany>, Option<OneOrMany>, Option<OneOrMany>),
    source: &dyn SecretSource,
) -> Result<Vec<Secret>, ConfigError> {
    let unreadable = |key, value: &str, reason| ConfigError::SecretSource {
        name: name.to_owned(),
        key,
        value: value.to_owned(),
        reason,
    };
    let mut texts = Vec::new();
    for text in list(inline) {
        texts.push(("secret", text));
    }
    for variable in list(variables) {
        let text = source.variable(&variable).map_err(|reason| unreadable("secret_env", &variable, reason))?;
        texts.push(("secret_env", text));
    }
    for path in list(files) {
        let text = source.file(Path::new(&path)).map_err(|reason| unreadable("secret_file", &path, reason))?;
        texts.push(("secret_file", text));
    }
    let mut secrets = Vec::new();
    for (key, text) in texts {
        if text.trim().is_empty() {
            return Err(unreadable(key, "", "it is empty".to_owned()));
        }
        for word in text.split_whitespace() {
            let secret = word.parse().map_err(|source| ConfigError::Secret { name: name.to_owned(), key, source })?;
            secrets.push(secret);
        }
    }
    Ok(secrets)
}

fn list(texts: Option<OneOrMany>) -> Vec<String> {
    match texts {
        None => Vec::new(),
        Some(OneOrMany::One(text)) => vec![text],
        Some(OneOrMany::Many(texts)) => texts,
    }
}
