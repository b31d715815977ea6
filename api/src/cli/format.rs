//! `meshwarden format`: the recommended log format, ready to paste.

use ingest::format::{self, Paths};

use super::args::{FormatArgs, FormatTarget};
use super::error::{CliError, Exit};

pub(crate) fn run(args: &FormatArgs) -> Result<Exit, CliError> {
    let paths = if args.with_query { Paths::WithQuery } else { Paths::WithoutQuery };
    let text = match args.target {
        FormatTarget::Istio => format::istio_yaml(paths),
        FormatTarget::Envoy => format::envoy_yaml(paths),
        FormatTarget::Json => format::json(paths).into_owned(),
    };
    crate::render::print(&text)?;
    Ok(Exit::Done)
}
