//! The column `edge`: a number for who called whom and how it ended, so that everything later groups by one integer.
//!
//! ```text
//!  column 0x1f value 0x1e column 0x1f value 0x1e … ─▶ SHA-256 ─▶ its first 8 bytes, big-endian, as a signed integer
//! ```
//! Only columns that are not null are in it, in the order of `NAMES`. It is the same on every machine and in every version, as long as the names of an
//! edge mean the same; whoever adds a column to them makes new edges. Addresses are not in it: those of clients at a gateway have no bound.

use sha2::{Digest, Sha256};

use crate::row::{Row, Value};
use crate::schema::{ACCESS_LOGS, Col};

/// What names an edge.
pub(crate) const NAMES: &[Col] = &[
    Col::Reporter,
    Col::Direction,
    Col::LogType,
    Col::SourcePrincipal,
    Col::IdentityVerified,
    Col::DestinationPrincipal,
    Col::DestinationService,
    Col::ResponseCode,
    Col::ResponseFlags,
    Col::GrpcStatus,
    Col::RbacDecision,
    Col::RbacPolicyNamespace,
    Col::RbacPolicy,
    Col::RbacRule,
    Col::TransportSecurity,
    Col::Egress,
    Col::EgressHost,
];

/// The edge of a row.
pub(crate) fn id(row: &Row<'_>) -> i64 {
    let mut hash = Sha256::new();
    for column in NAMES {
        let value = match row.get(*column) {
            Value::Null | Value::Binary(_) => continue,
            Value::Text(text) => text.to_string(),
            Value::Int64(number) | Value::Timestamp(number) => number.to_string(),
            Value::Int32(number) => number.to_string(),
            Value::Boolean(truth) => truth.to_string(),
        };
        let name = ACCESS_LOGS.get(*column as usize).map_or("", |column| column.name);
        hash.update(format!("{name}\u{1f}{value}\u{1e}"));
    }
    hash.finalize().first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
}
