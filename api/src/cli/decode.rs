//! From flags and configuration to the decoder's options.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingest::{DecodeOptions, FieldMap, GatewayNames};

use super::args::DecodeArgs;
use super::error::CliError;

impl DecodeArgs {
    /// The decoder's options.
    pub(crate) fn options(&self) -> Result<Arc<DecodeOptions>, CliError> {
        self.options_with(&BTreeMap::new())
    }

    /// The decoder's options; `configured` are field pairs that flags win over.
    pub(crate) fn options_with(&self, configured: &BTreeMap<String, String>) -> Result<Arc<DecodeOptions>, CliError> {
        let mut pairs = configured.clone();
        if let Some(file) = &self.field_map {
            let text = std::fs::read_to_string(file).map_err(|error| {
                CliError::Fields(format!("the field map {} cannot be read: {error}", file.display()))
            })?;
            let read: BTreeMap<String, String> = toml::from_str(&text).map_err(|error| {
                CliError::Fields(format!(
                    "the field map {} is not right, write lines of yours = \"ours\": {}",
                    file.display(),
                    error.message()
                ))
            })?;
            pairs.extend(read);
        }
        for pair in &self.fields {
            let (theirs, ours) = FieldMap::parse_pair(pair).map_err(|error| CliError::Fields(error.to_string()))?;
            pairs.insert(theirs, ours);
        }
        let gateways = match self.gateways.is_empty() {
            true => GatewayNames::default(),
            false => GatewayNames::new(&self.gateways).map_err(|error| CliError::Gateways(error.to_string()))?,
        };
        Ok(Arc::new(DecodeOptions {
            gateways,
            max_line_bytes: self.max_line_bytes,
            max_nesting: self.max_nesting,
            fields: FieldMap::from_pairs(pairs).map_err(|error| CliError::Fields(error.to_string()))?,
            trust_domain: self.trust_domain.clone(),
            cluster_domain: self.cluster_domain.clone(),
            ..DecodeOptions::default()
        }))
    }
}
