#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::io::Write;

use flate2::{Compression, GzBuilder};
use proptest::prelude::*;

use super::*;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder =
        GzBuilder::new().filename("a.log").comment("c").extra(vec![1, 2, 3]).write(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(data, 3).unwrap()
}

fn inflate(mut inflater: Inflater, bytes: &[u8], size: usize) -> (Vec<u8>, Result<(), InflateError>) {
    let mut out = Vec::new();
    for piece in bytes.chunks(size.max(1)) {
        if let Err(error) = inflater.push(piece, &mut |bytes| out.extend_from_slice(bytes)) {
            assert_eq!(inflater.push(b"x", &mut |_| panic!("after an error")), Err(error.clone()));
            return (out, Err(error));
        }
    }
    let end = inflater.finish(&mut |bytes| out.extend_from_slice(bytes));
    (out, end)
}

fn both(data: &[u8]) -> [Vec<u8>; 2] {
    [gzip(data), zstd(data)]
}

#[test]
fn all_encodings_in_all_pieces() {
    let data = b"{\"start_time\":0}\n".repeat(20_000);
    let mut skippable = vec![0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    skippable.extend(zstd(&data));
    let [gzipped, zstded] = both(&data);
    for bytes in [data.clone(), gzipped, zstded, skippable] {
        for size in [1, 2, 3, 7, 1000, PIECE, usize::MAX >> 1] {
            assert_eq!(inflate(Inflater::new(None), &bytes, size), (data.clone(), Ok(())), "{size}");
        }
    }
}

#[test]
fn short_inputs() {
    for bytes in [&b""[..], b"\x1f", b"\x28\xb5\x2f", b"\x50", b"\x50\x2a", b"[", b"{}"] {
        assert_eq!(inflate(Inflater::new(None), bytes, 1), (bytes.to_vec(), Ok(())));
    }
    for encoding in [Encoding::Plain, Encoding::Gzip, Encoding::Zstd] {
        assert_eq!(inflate(Inflater::with_encoding(encoding, None), b"", 1), (Vec::new(), Ok(())));
    }
}

#[test]
fn members_and_frames_follow_each_other() {
    for (a, b) in both(b"one\n").into_iter().zip(both(b"two\n")) {
        for size in [1, 5, 1000] {
            assert_eq!(
                inflate(Inflater::new(None), &[a.clone(), b.clone()].concat(), size),
                (b"one\ntwo\n".to_vec(), Ok(()))
            );
        }
    }
}

#[test]
fn zeros_pad_members_as_gzip_has_it() {
    let padded = [gzip(b"one\n"), vec![0; 700], gzip(b"two\n"), vec![0; 3]].concat();
    for size in [1, 7, 4096] {
        let (out, ended) = inflate(Inflater::new(None), &padded, size);
        assert_eq!((out.as_slice(), ended.is_ok()), (b"one\ntwo\n".as_slice(), true));
    }
    // but nothing else follows a member, and nothing precedes the first
    for damaged in [[gzip(b"one\n"), vec![0, 0, 1]].concat(), [vec![0; 2], gzip(b"one\n")].concat()] {
        let told = Inflater::with_encoding(Encoding::Gzip, None);
        assert!(inflate(told, &damaged, 4096).1.is_err());
    }
}

#[test]
fn told_encodings_are_not_guessed() {
    let bytes = gzip(b"x");
    let plain = Inflater::with_encoding(Encoding::Plain, None);
    assert_eq!(inflate(plain, &bytes, 3), (bytes.clone(), Ok(())));
    for encoding in [Encoding::Gzip, Encoding::Zstd] {
        let (_, end) = inflate(Inflater::with_encoding(encoding, None), b"plain text", 3);
        assert!(matches!(end, Err(InflateError::Corrupt { inflated: 0, .. })), "{end:?}");
    }
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    let data = vec![b'a'; 50 << 20];
    for bytes in both(&data) {
        assert!(bytes.len() < 100_000);
        let mut largest = 0;
        let mut total = 0;
        let mut inflater = Inflater::new(Some(100_000));
        let error = inflater.push(&bytes, &mut |piece| {
            largest = largest.max(piece.len());
            total += piece.len();
        });
        assert_eq!(error, Err(InflateError::TooLarge { limit: 100_000 }));
        assert_eq!((total, inflater.inflated()), (100_000, 100_000));
        assert!(largest <= PIECE);
    }
    let exact = Inflater::new(Some(3));
    assert_eq!(inflate(exact, &gzip(b"abc"), 1), (b"abc".to_vec(), Ok(())));
    let plain = Inflater::new(Some(3));
    assert_eq!(inflate(plain, b"abcd", 4), (b"abc".to_vec(), Err(InflateError::TooLarge { limit: 3 })));
}

#[test]
fn a_large_window_is_refused() {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&vec![b'a'; 64 << 20]).unwrap();
    let (_, end) = inflate(Inflater::new(None), &encoder.finish().unwrap(), 1000);
    assert!(matches!(end, Err(InflateError::Corrupt { encoding: "zstd", .. })), "{end:?}");
}

#[test]
fn cut_streams_say_so() {
    let data = b"line\n".repeat(10_000);
    for bytes in both(&data) {
        for cut in [5, bytes.len() / 2, bytes.len() - 1] {
            let (out, end) = inflate(Inflater::new(None), bytes.get(..cut).unwrap(), 7);
            assert!(
                matches!(end, Err(InflateError::Truncated { inflated, .. }) if inflated == out.len() as u64),
                "{end:?}"
            );
            assert!(data.starts_with(&out));
        }
    }
}

#[test]
fn damage_is_noticed() {
    let mut bytes = gzip(b"some text");
    let at = bytes.len() - 5;
    *bytes.get_mut(at).unwrap() ^= 1;
    let (_, end) = inflate(Inflater::new(None), &bytes, 7);
    assert!(end.unwrap_err().to_string().contains("checksum"));
    let trailing = [gzip(b"x"), b"garbage".to_vec()].concat();
    let (out, end) = inflate(Inflater::new(None), &trailing, 7);
    assert_eq!(out, b"x");
    assert!(end.unwrap_err().to_string().contains("no gzip header"));
}

#[test]
fn errors_read_well() {
    let shown = |error: InflateError| error.to_string();
    insta::assert_snapshot!(
        "errors",
        [
            shown(InflateError::TooLarge { limit: 10 }),
            shown(InflateError::Corrupt {
                encoding: "gzip",
                inflated: 3,
                detail: "the checksum does not match".into()
            }),
            shown(InflateError::Truncated { encoding: "zstd", inflated: 3 }),
        ]
        .join("\n")
    );
}

/// A block of bytes as they are, whose header a flipped bit made longer: whole or byte by byte, as much of it comes out.
#[test]
fn a_block_that_claims_more_than_there_is() {
    let stored = zstd::stream::encode_all(b"line 1, 7919".as_slice(), 1).unwrap();
    for at in 0..stored.len() {
        for bit in 0..8 {
            let mut bytes = stored.clone();
            bytes[at] ^= 1 << bit;
            for size in 1..bytes.len() {
                assert_cutting_changes_nothing(&bytes, size, 100).unwrap();
            }
        }
    }
}

/// With checksums, in several blocks.
fn checked(data: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    for block in data.chunks(data.len() / 3 + 1) {
        encoder.write_all(block).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap()
}

/// In any pieces the same comes out, and the same error.
fn assert_cutting_changes_nothing(bytes: &[u8], size: usize, limit: u64) -> Result<(), TestCaseError> {
    let whole = inflate(Inflater::new(Some(limit)), bytes, bytes.len());
    prop_assert_eq!(inflate(Inflater::new(Some(limit)), bytes, size), whole);
    Ok(())
}

#[test]
fn runs_are_handed_on_as_far_as_they_go() {
    for bytes in both(&vec![b'a'; 1 << 20]) {
        for cut in 0..bytes.len() {
            let (start, _) = bytes.split_at(cut);
            assert_cutting_changes_nothing(start, 1, 1 << 30).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_end_alike_in_any_pieces(data in prop::collection::vec(any::<u8>(), 0..300), magic in 0usize..3, size in 1usize..50) {
        let magics: [&[u8]; 3] = [b"", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"];
        assert_cutting_changes_nothing(&[magics[magic], &data].concat(), size, 1 << 20)?;
    }

    #[test]
    fn a_damaged_stream_ends_alike_in_any_pieces(
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
        lines in 1usize..200,
        size in 1usize..50,
        limit in prop_oneof![Just(100), Just(1 << 20)],
    ) {
        let data: String = (0..lines).map(|n| format!("some text, {}\n", n * n)).collect();
        let [gzipped, zstded] = both(data.as_bytes());
        for mut bytes in [gzipped, zstded, checked(data.as_bytes())] {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            assert_cutting_changes_nothing(&bytes, size, limit)?;
        }
    }
}
