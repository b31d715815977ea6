//! Tests that need more than one crate, in one binary: linking DataFusion once is enough.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod batch_stream;
mod deliver;
mod engines;
mod http;
mod many;
mod mesh;
mod overdue;
mod peers;
