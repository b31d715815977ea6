//! What kind of thing a line is about, and whether it counts.

/// The column `log_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogType {
    /// A request.
    Http,
    /// A connection.
    Tcp,
    /// A connection that a listener turned away before any filter (or any connection, in an unfiltered listener log).
    Listener,
}

/// What a line says about its kind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Signs<'a> {
    pub(crate) access_log_type: Option<&'a str>,
    pub(crate) filter_chain_not_found: bool,
    /// The downstream transport failed: only a listener's own log says so.
    pub(crate) transport_failed: bool,
    pub(crate) method: bool,
    pub(crate) protocol: bool,
    pub(crate) response_code: Option<i32>,
}

impl LogType {
    pub(crate) fn of(signs: Signs<'_>) -> LogType {
        let named = signs.access_log_type.unwrap_or_default();
        if named == "NotSet" || signs.filter_chain_not_found {
            LogType::Listener
        } else if signs.method
            || signs.protocol
            || signs.response_code.is_some_and(|code| code >= 100)
            || named.starts_with("Downstream")
            || named.starts_with("Upstream")
        {
            LogType::Http
        } else if named.is_empty() && signs.transport_failed {
            LogType::Listener
        } else {
            LogType::Tcp
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            LogType::Http => "http",
            LogType::Tcp => "tcp",
            LogType::Listener => "listener",
        }
    }
}

/// Whether a line of this `access_log_type` stands for a request or connection: the start, periodic and per-try lines repeat it.
#[must_use]
pub fn is_request(access_log_type: Option<&str>) -> bool {
    access_log_type.is_none_or(|name| name == "NotSet" || is_end(name))
}

/// Whether a line of this type is the last one of a request or connection.
pub(crate) fn is_end(access_log_type: &str) -> bool {
    matches!(access_log_type, "DownstreamEnd" | "TcpConnectionEnd" | "UdpSessionEnd")
}

/// A listener found no filter chain: the flag NR with these details, which no HTTP line has.
pub(crate) fn filter_chain_not_found(flags: Option<&str>, details: Option<&str>) -> bool {
    details == Some("filter_chain_not_found") && flags.is_some_and(|flags| flags.split(',').any(|flag| flag == "NR"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn kinds() {
        let base = Signs::default();
        for (signs, expected) in [
            (base, LogType::Tcp),
            (Signs { response_code: Some(0), ..base }, LogType::Tcp),
            (Signs { response_code: Some(400), ..base }, LogType::Http),
            (Signs { method: true, ..base }, LogType::Http),
            (Signs { protocol: true, ..base }, LogType::Http),
            (Signs { access_log_type: Some("DownstreamStart"), ..base }, LogType::Http),
            (Signs { access_log_type: Some("UpstreamEnd"), ..base }, LogType::Http),
            (Signs { access_log_type: Some("TcpConnectionEnd"), ..base }, LogType::Tcp),
            (Signs { access_log_type: Some("NotSet"), protocol: true, ..base }, LogType::Listener),
            (Signs { filter_chain_not_found: true, ..base }, LogType::Listener),
            (Signs { transport_failed: true, ..base }, LogType::Listener),
            (Signs { transport_failed: true, response_code: Some(0), ..base }, LogType::Listener),
            (Signs { transport_failed: true, protocol: true, ..base }, LogType::Http),
            (Signs { transport_failed: true, access_log_type: Some("TcpConnectionEnd"), ..base }, LogType::Tcp),
        ] {
            assert_eq!(LogType::of(signs), expected, "{signs:?}");
        }
    }

    #[test]
    fn only_ends_count() {
        for (name, expected) in [
            (None, true),
            (Some("NotSet"), true),
            (Some("DownstreamEnd"), true),
            (Some("TcpConnectionEnd"), true),
            (Some("UdpSessionEnd"), true),
            (Some("DownstreamStart"), false),
            (Some("TcpPeriodic"), false),
            (Some("UpstreamEnd"), false),
        ] {
            assert_eq!(is_request(name), expected, "{name:?}");
        }
    }

    #[test]
    fn no_filter_chain() {
        assert!(filter_chain_not_found(Some("NR"), Some("filter_chain_not_found")));
        assert!(filter_chain_not_found(Some("DC,NR"), Some("filter_chain_not_found")));
        assert!(!filter_chain_not_found(Some("NR"), Some("route_not_found")));
        assert!(!filter_chain_not_found(None, Some("filter_chain_not_found")));
    }
}
