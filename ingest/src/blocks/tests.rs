#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use proptest::prelude::*;

/// (number, offset, span, text, length if too long)
type Seen = (u64, u64, u64, Vec<u8>, Option<(u64, String)>);

fn split(max: usize, pieces: &[&[u8]]) -> Vec<Seen> {
    split_by(Blocks::new(max), pieces)
}

fn split_by(mut blocks: Blocks, pieces: &[&[u8]]) -> Vec<Seen> {
    let mut seen: Vec<Seen> = Vec::new();
    let too_long =
        |at: Place, long: LongLine| (at.number, at.offset, at.span, long.sample, Some((long.length, long.sha256)));
    let mut each = |piece: Piece<'_, '_>| match piece {
        Piece::Lines(_, lines) => seen.extend(lines.map(|line| match line {
            Line::Whole(at, text) => (at.number, at.offset, at.span, text.to_vec(), None),
            Line::TooLong(at, long) => too_long(at, long),
        })),
        Piece::TooLong(at, long) => seen.push(too_long(at, long)),
    };
    for piece in pieces {
        blocks.push(piece, &mut each);
        assert!(!blocks.space().is_empty());
    }
    blocks.finish(&mut each);
    seen
}

fn texts(max: usize, input: &[u8]) -> Vec<(u64, u64, String, bool)> {
    let lines = split(max, &[input]).into_iter();
    lines.map(|(n, at, _, text, long)| (n, at, String::from_utf8(text).unwrap(), long.is_some())).collect()
}

#[test]
fn line_ends() {
    let line = |n, at, text: &str| (n, at, text.to_owned(), false);
    assert_eq!(texts(9, b""), []);
    assert_eq!(texts(9, b"a"), [line(1, 0, "a")]);
    assert_eq!(texts(9, b"a\n"), [line(1, 0, "a")]);
    assert_eq!(texts(9, b"a\r\n\nb\r"), [line(1, 0, "a"), line(2, 3, ""), line(3, 4, "b")]);
    assert_eq!(texts(9, b"a\r\r\n"), [line(1, 0, "a\r")]);
    assert_eq!(texts(9, "\u{feff}a\n\u{feff}b".as_bytes()), [line(1, 3, "a"), line(2, 8, "b")]);
}

#[test]
fn the_bound_is_exact() {
    let long = |n, at, text: &str| (n, at, text.to_owned(), true);
    assert_eq!(
        texts(3, b"abc\r\nabcd\nabc"),
        [(1, 0, "abc".to_owned(), false), long(2, 5, "abcd"), (3, 10, "abc".to_owned(), false)]
    );
    assert_eq!(texts(3, b"abcd\r"), [long(1, 0, "abcd")]);
}

#[test]
fn a_long_line_keeps_a_sample_its_length_and_its_hash() {
    let input = vec![b'x'; SAMPLE_BYTES * 3];
    let pieces: Vec<&[u8]> = input.chunks(1000).collect();
    let seen = split(10, &pieces);
    let [(1, 0, span, sample, Some((length, sha256)))] = seen.as_slice() else { panic!("{}", seen.len()) };
    assert_eq!((*span, *length, sample.len()), (input.len() as u64, input.len() as u64, SAMPLE_BYTES));
    assert_eq!(*sha256, hex(&Sha256::digest(&input)));
}

/// What `copytruncate` leaves: more NULs than a line may have bytes, and the line that the writer went on with.
#[test]
fn nuls_before_a_line_are_passed_over() {
    let input = [&[0; 100_000][..], b"abc\n\0\0\0\0def\n", &[0; 5000]].concat();
    for size in [1, 100, 70_000, 200_000] {
        let pieces: Vec<&[u8]> = input.chunks(size).collect();
        let seen = split(10, &pieces);
        let shown: Vec<_> = seen
            .iter()
            .map(|(number, offset, span, text, long)| (*number, *offset, *span, text.as_slice(), long.is_some()))
            .collect();
        assert_eq!(
            shown,
            [
                (1, 100_000, 100_004, b"abc".as_slice(), false),
                (2, 100_008, 8, b"def".as_slice(), false),
                (3, 105_012, 5000, b"".as_slice(), false),
            ],
            "{size}"
        );
    }
}

proptest! {
    #[test]
    fn any_cutting_yields_the_same_lines(
        input in "[a\0\r\n\u{feff}]{0,60}", size in 1usize..9, max in 0usize..9, first in 1usize..9, block in 1usize..20,
    ) {
        let whole = split(max, &[input.as_bytes()]);
        let pieces: Vec<&[u8]> = input.as_bytes().chunks(size).collect();
        prop_assert_eq!(&split_by(Blocks::sized(max, first, block), &pieces), &whole);
        prop_assert_eq!(whole.iter().map(|line| line.2).sum::<u64>(), input.len() as u64);
    }
}
