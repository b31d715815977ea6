//! Parts and forms of names, flags and paths.

/// Part `index` of `trust-domain/ns/N/sa/S` (0 trust domain, 2 namespace, 4 service account), `spiffe://` in front or not.
/// `None` unless the whole has that form.
#[must_use]
pub fn spiffe_part(principal: &str, index: usize) -> Option<&str> {
    let bare = principal.strip_prefix("spiffe://").unwrap_or(principal);
    let parts: Vec<&str> = bare.split('/').collect();
    match parts.as_slice() {
        [domain, "ns", namespace, "sa", account]
            if ![domain, namespace, account].iter().any(|part| part.is_empty()) =>
        {
            parts.get(index).copied()
        }
        _ => None,
    }
}

/// Whether the comma-joined set of response flags holds `flag`. The order of Envoy's flags is not fixed.
#[must_use]
pub fn has_flag(flags: &str, flag: &str) -> bool {
    flags.split(',').any(|known| known.trim() == flag)
}

/// Percent-decoded once; `+` stays, a broken escape stays as it is.
#[must_use]
pub fn url_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The path without query and fragment, percent-decoded once, each segment that looks like an id replaced by `{id}`: digits, a UUID, 8 or more
/// hexadecimal digits with a digit among them, 6 or more characters with three digits among them (`DE89370400440532013000`).
#[must_use]
pub fn path_template(path: &str) -> String {
    let bare = path.split(['?', '#']).next().unwrap_or(path);
    // decoded first: %31%37 is 17 to the application, and would be a route of its own to us
    url_decode(bare)
        .split('/')
        .map(|segment| if is_id(segment) { "{id}" } else { segment })
        .collect::<Vec<_>>()
        .join("/")
}

fn is_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let hexadecimal = segment.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    digits > 0
        && (digits == segment.len()
            || (hexadecimal && segment.len() >= 8)
            || (digits >= 3 && segment.chars().count() >= 6))
}

/// Lower-case host of an authority or SNI, without port and trailing dot.
#[must_use]
pub fn host_of(authority: &str) -> String {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => match authority.rsplit_once(':') {
            // more colons: a bare IPv6 address
            Some((host, port)) if !host.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        },
    };
    host.trim_end_matches('.').to_ascii_lowercase()
}
