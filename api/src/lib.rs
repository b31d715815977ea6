//! meshwarden's outbound edge: the command line, HTTP, the report of a scan, deliveries to sinks.
//!
//! ```text
//!  cli ─▶ scan · serve ─▶ receive ─▶ intake ─▶ query::Core ─▶ render · report · http · deliver
//! ```
//! It decides nothing about traffic; it wires the rest together and talks to the world.

pub mod cli;
pub mod clock;
pub mod config;
pub mod deliver;
pub mod detect_loop;
mod doctor;
mod feed;
mod housekeeping;
pub mod http;
pub mod intake;
pub mod logging;
mod receive;
mod render;
pub mod report;
pub mod scan;
