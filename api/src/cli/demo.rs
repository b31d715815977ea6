//! `meshwarden demo`: the sample logs, what is in them, and the API to look around.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use query::{Core, CoreOptions, Keep};

use super::SharedClock;
use super::args::DemoArgs;
use super::error::{CliError, Exit};
use super::scan::readable;
use crate::render;
use crate::scan::scan;

pub(crate) async fn run(args: DemoArgs, clock: SharedClock) -> Result<Exit, CliError> {
    let logs = args.logs.clone().unwrap_or_else(sample_logs);
    if !logs.is_dir() {
        return Err(CliError::NoSamples(logs));
    }
    let options = CoreOptions { detections: args.detect.detections.clone(), ..CoreOptions::default() };
    let core = Arc::new(Core::in_memory(Keep::All, options).await?);
    let decode = args.decode.options()?;
    let scanned = scan(&core, &[logs], decode.clone(), clock.as_ref()).await?;
    render::print_with(|out| render::findings_table(&scanned.findings, scanned.doubt().as_deref(), out))?;
    render::print(&render::summary(&scanned))?;
    readable(&scanned)?;
    if !args.once {
        super::serve::demo(core, clock, decode, args.listen).await?;
    }
    Ok(Exit::Done)
}

/// `sample-logs` here, or in the checkout that this program was built from.
fn sample_logs() -> PathBuf {
    let here = PathBuf::from("sample-logs");
    if here.is_dir() {
        return here;
    }
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or(here, |checkout| checkout.join("sample-logs"))
}
