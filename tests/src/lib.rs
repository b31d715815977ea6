//! What meshwarden's tests share: a mesh of real Envoys that behaves well, is attacked, and writes its access logs
//! (see [`mesh`]), and real receivers of findings (see [`receivers`]). The tests themselves are in `tests/tests`.

pub mod lines;
pub mod mesh;
pub mod receivers;
