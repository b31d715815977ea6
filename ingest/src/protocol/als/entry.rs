//! What is read of one entry of a log: `HTTPAccessLogEntry` or `TCPAccessLogEntry`. The line that it becomes is written by [`super::line`].

use super::tls::Tls;
use crate::protocol::structs::Members;
use crate::protocol::wire::{Message, WireError, entry, seconds};

/// The message that an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    Tcp,
}

/// What is read of an entry. Strings are empty, where it has none.
#[derive(Debug, Default)]
pub(super) struct Entry<'a> {
    // AccessLogCommon
    pub(super) downstream_remote: &'a [u8],
    pub(super) downstream_direct: &'a [u8],
    pub(super) downstream_local: &'a [u8],
    pub(super) upstream_remote: &'a [u8],
    pub(super) upstream_local: &'a [u8],
    pub(super) tls: Tls<'a>,
    pub(super) start_time: Option<(i64, i64)>,
    pub(super) duration: Option<(i64, i64)>,
    pub(super) first_upstream_rx: Option<(i64, i64)>,
    pub(super) upstream_cluster: &'a [u8],
    pub(super) flags: &'a [u8],
    pub(super) metadata: Members<'a>,
    pub(super) filter_state: Members<'a>,
    pub(super) custom_tags: Members<'a>,
    pub(super) upstream_failure: &'a [u8],
    pub(super) downstream_failure: &'a [u8],
    pub(super) termination: &'a [u8],
    pub(super) route_name: &'a [u8],
    pub(super) attempts: u64,
    pub(super) stream_id: &'a [u8],
    pub(super) log_type: u64,
    // ConnectionProperties, or the bodies' lengths
    pub(super) received: u64,
    pub(super) sent: u64,
    // HTTP
    pub(super) protocol: u64,
    pub(super) method: u64,
    pub(super) scheme: &'a [u8],
    pub(super) authority: &'a [u8],
    pub(super) path: &'a [u8],
    pub(super) original_path: &'a [u8],
    pub(super) user_agent: &'a [u8],
    pub(super) referer: &'a [u8],
    pub(super) forwarded_for: &'a [u8],
    pub(super) request_id: &'a [u8],
    pub(super) code: Option<u64>,
    pub(super) details: &'a [u8],
    pub(super) request_headers: Members<'a>,
    pub(super) response_headers: Members<'a>,
    pub(super) response_trailers: Members<'a>,
}

/// The number in a `UInt32Value`.
pub(super) fn wrapped(bytes: &[u8]) -> Result<u64, WireError> {
    let mut number = 0;
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        if field == 1 {
            number = value.number();
        }
    }
    Ok(number)
}

impl<'a> Entry<'a> {
    /// Reads another entry over this one: lists keep their memory.
    pub(super) fn read(&mut self, kind: Kind, bytes: &'a [u8]) -> Result<(), WireError> {
        let mut lists = [
            std::mem::take(&mut self.metadata),
            std::mem::take(&mut self.filter_state),
            std::mem::take(&mut self.custom_tags),
            std::mem::take(&mut self.request_headers),
            std::mem::take(&mut self.response_headers),
            std::mem::take(&mut self.response_trailers),
        ];
        lists.iter_mut().for_each(Members::clear);
        let [metadata, filter_state, custom_tags, request_headers, response_headers, response_trailers] = lists;
        *self = Entry {
            metadata,
            filter_state,
            custom_tags,
            request_headers,
            response_headers,
            response_trailers,
            ..Entry::default()
        };
        let mut fields = Message::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match (field, kind) {
                (1, _) => self.common(value.bytes())?,
                (2, Kind::Tcp) => self.connection(value.bytes())?,
                (2, Kind::Http) => self.protocol = value.number(),
                (3, Kind::Http) => self.request(value.bytes())?,
                (4, Kind::Http) => self.response(value.bytes())?,
                _ => {}
            }
        }
        let lists = [
            &mut self.metadata,
            &mut self.filter_state,
            &mut self.custom_tags,
            &mut self.request_headers,
            &mut self.response_headers,
            &mut self.response_trailers,
        ];
        lists.into_iter().for_each(Members::sort);
        Ok(())
    }

    fn common(&mut self, bytes: &'a [u8]) -> Result<(), WireError> {
        let mut fields = Message::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                2 => self.downstream_remote = value.bytes(),
                3 => self.downstream_local = value.bytes(),
                4 => self.tls = Tls::of(value.bytes())?,
                5 => self.start_time = Some(seconds(value.bytes())?),
                9 => self.first_upstream_rx = Some(seconds(value.bytes())?),
                13 => self.upstream_remote = value.bytes(),
                14 => self.upstream_local = value.bytes(),
                15 => self.upstream_cluster = value.bytes(),
                16 => self.flags = value.bytes(),
                17 => self.metadata(value.bytes())?,
                18 => self.upstream_failure = value.bytes(),
                19 => self.route_name = value.bytes(),
                20 => self.downstream_direct = value.bytes(),
                21 => self.filter_state.add(entry(value.bytes())?),
                22 => self.custom_tags.add(entry(value.bytes())?),
                23 => self.duration = Some(seconds(value.bytes())?),
                24 => self.attempts = value.number(),
                25 => self.termination = value.bytes(),
                26 => self.stream_id = value.bytes(),
                28 => self.downstream_failure = value.bytes(),
                33 => self.log_type = value.number(),
                _ => {}
            }
        }
        Ok(())
    }

    fn metadata(&mut self, bytes: &'a [u8]) -> Result<(), WireError> {
        let mut fields = Message::new(bytes);
        while let Some((field, value)) = fields.next()? {
            if field == 1 {
                self.metadata.add(entry(value.bytes())?);
            }
        }
        Ok(())
    }

    fn connection(&mut self, bytes: &'a [u8]) -> Result<(), WireError> {
        let mut fields = Message::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => self.received = value.number(),
                2 => self.sent = value.number(),
                _ => {}
            }
        }
        Ok(())
    }

    fn request(&mut self, bytes: &'a [u8]) -> Result<(), WireError> {
        let mut fields = Message::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => self.method = value.number(),
                2 => self.scheme = value.bytes(),
                3 => self.authority = value.bytes(),
                5 => self.path = value.bytes(),
                6 => self.user_agent = value.bytes(),
                7 => self.referer = value.bytes(),
                8 => self.forwarded_for = value.bytes(),
                9 => self.request_id = value.bytes(),
                10 => self.original_path = value.bytes(),
                12 => self.received = value.number(),
                13 => self.request_headers.add(entry(value.bytes())?),
                _ => {}
            }
        }
        Ok(())
    }

    fn response(&mut self, bytes: &'a [u8]) -> Result<(), WireError> {
        let mut fields = Message::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => self.code = Some(wrapped(value.bytes())?),
                3 => self.sent = value.number(),
                4 => self.response_headers.add(entry(value.bytes())?),
                5 => self.response_trailers.add(entry(value.bytes())?),
                6 => self.details = value.bytes(),
                _ => {}
            }
        }
        Ok(())
    }
}
