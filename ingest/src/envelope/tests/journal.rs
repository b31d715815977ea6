//! Entries of journald, as `journalctl -o export` writes them.

use super::*;

#[test]
fn journal_entries() {
    let input = format!(
        "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1\n_HOSTNAME=h\nMESSAGE={TEXT}\nCONTAINER_NAME=k8s_c_p_n_1-2_0\n\n\
         __CURSOR=s=2\nPRIORITY=6\n\n\
         __CURSOR=s=3\nMESSAGE={JSON}\n__CURSOR=s=4\nMESSAGE=last"
    );
    let lines: Vec<&str> = input.split('\n').collect();
    let out = run(&lines, 1 << 20);
    let record = format!("record {TEXT} @1 pod=p namespace=n container=c host=h");
    let nothing = "nothing";
    let second = format!("record {JSON} @10");
    assert_eq!(
        out,
        [
            nothing,
            nothing,
            nothing,
            nothing,
            nothing,
            &record,
            nothing,
            nothing,
            nothing,
            nothing,
            nothing,
            &second,
            nothing,
            "end record last @12"
        ]
    );
    // pieces
    let input = "__CURSOR=1\nMESSAGE=a\nCONTAINER_PARTIAL_MESSAGE=true\n\n__CURSOR=2\nMESSAGE=b\n\n";
    let out = run(&input.split('\n').collect::<Vec<_>>(), 99);
    assert_eq!(out[6], "record ab @1");
}

#[test]
fn binary_fields_of_a_journal() {
    let field = |data: &[u8]| [&(data.len() as u64).to_le_bytes(), data].concat();
    let entry = |data: &[u8]| [b"__CURSOR=1\nMESSAGE\n".as_slice(), data, b"\n_HOSTNAME=h\n\n[2026"].concat();
    let opened = |data: &[u8]| {
        let input = entry(data);
        let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
        let mut out = run(&lines, 1 << 20);
        out.retain(|line| line != "nothing");
        out
    };
    // lengths with newlines among their bytes, too: 10, 2570, 10 + 256
    for length in [1, 9, 10, 11, 2570, 266, 300] {
        let data = "x".repeat(length);
        assert_eq!(
            opened(&field(data.as_bytes())),
            [format!("record {data} @1 host=h"), "bare".to_owned()],
            "{length}"
        );
    }
    // the data holds a newline, and what follows it is not taken for a field, a record or the entry's end
    let wrong = "not_an_access_log".to_owned();
    for (data, lines) in [
        ("a\nb", 2),
        ("a\n{\"start_time\":1}", 2),
        ("\n", 0),
        ("\n\n", 0),
        ("a\n\n__CURSOR=2\nMESSAGE={\"start_time\":1}\n", 3),
    ] {
        let out = opened(&field(data.as_bytes()));
        assert_eq!(out, [vec![wrong.clone(); lines], vec!["bare".to_owned()]].concat(), "{data}");
    }
    // lengths that lie: too long for anything, too short, too long
    for (length, lines) in [(u64::MAX, 1), (4, 1), (0, 1), (6, 2)] {
        let out = opened(&[&length.to_le_bytes()[..], b"hello"].concat());
        assert_eq!(out, [vec![wrong.clone(); lines], vec!["bare".to_owned()]].concat(), "{length}");
    }
    assert_eq!(opened(&[&1000_u64.to_le_bytes()[..], b"hello"].concat())[..3], [wrong.clone(), wrong.clone(), wrong]);
    // the input ends within one
    assert_eq!(run(&["__CURSOR=1", "MESSAGE"], 9)[2..], ["end not_an_access_log 0 bytes"]);
    assert_eq!(run(&["__CURSOR=1", "MESSAGE=a", "X", "12"], 9)[4..], ["end not_an_access_log @1 1 bytes"]);
}

#[test]
fn a_journal_that_is_none() {
    assert_eq!(run(&["__CURSOR=1", TEXT, JSON], 1 << 20), ["nothing", "bare", "bare"]);
    let lines = ["__CURSOR=1", "MESSAGE=a", TEXT, "MESSAGE=b", "", TEXT];
    assert_eq!(
        run(&lines, 1 << 20),
        ["nothing", "nothing", "not_an_access_log", "not_an_access_log", "record a @1", "bare"]
    );
    assert_eq!(run(&["", "  ", "__CURSOR=1", ""], 9), ["nothing", "nothing", "nothing", "nothing"]);
}
