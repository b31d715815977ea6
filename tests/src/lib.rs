//! What meshwarden's tests share: a mesh of real Envoys that behaves well, is attacked, and writes its access logs
//! (see [`mesh`]), real receivers of findings (see [`receivers`]), and the other programs that read logs, to measure
//! beside (see [`peers`]). The tests themselves are in `tests/tests`.

pub mod grpc;
pub mod lines;
pub mod mesh;
pub mod peers;
pub mod receivers;
