//! `meshwarden format`: the recommended log format, ready to paste.

use super::args::{FormatArgs, FormatTarget};
use super::error::{CliError, Exit};

pub(crate) fn run(args: &FormatArgs) -> Result<Exit, CliError> {
    let text = match args.target {
        FormatTarget::Istio => ingest::format::istio_yaml(),
        FormatTarget::Envoy => ingest::format::envoy_yaml(),
        FormatTarget::Json => ingest::format::recommended().to_owned(),
    };
    crate::render::print(&text)?;
    Ok(Exit::Done)
}
