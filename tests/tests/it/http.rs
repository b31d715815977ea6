//! The HTTP door on a real listener, asked by a real client: what goes in is found, what is refused says why.

mod api;
mod doors;
mod guards;
mod lines_in;
mod server;
