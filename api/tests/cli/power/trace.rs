//! What `strace` saw of a process: its calls that change files, in their order.
//!
//! ```text
//!  4711 write(12</data/journal/1.journal>, "\x7b…" <unfinished ...>
//!  4712 fsync(13</data/a>) = 0
//!  4711 <... write resumed>) = 77                            a call counts where it ended; what is told to a client where it began
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The calls that change files, or say what a client hears.
pub(super) const CALLS: &str = "trace=openat,open,creat,close,lseek,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,sendto,sendmsg,copy_file_range,sendfile";

/// A call that succeeded, of a file in the folder.
#[derive(Debug)]
pub(super) enum Call {
    /// An open file; made if it was not there, and empty if `truncates`.
    Open {
        fd: u32,
        path: PathBuf,
        creates: bool,
        truncates: bool,
        appends: bool,
    },
    Close {
        fd: u32,
    },
    Seek {
        fd: u32,
        to: u64,
    },
    /// At the file's position, or at a place.
    Write {
        fd: u32,
        at: Option<u64>,
        bytes: Vec<u8>,
    },
    Truncate {
        fd: u32,
        length: u64,
    },
    Sync {
        fd: u32,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Link {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    MakeFolder {
        path: PathBuf,
    },
    /// A client is told that its lines are on stable storage.
    Acknowledged,
}

/// The calls of one process.
pub(super) fn calls(trace: &str, folder: &Path) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&str, &str> = HashMap::new();
    for line in trace.lines() {
        let (process, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
            if is_acknowledgement(begun) {
                calls.push(Call::Acknowledged);
            }
            unfinished.insert(process, begun);
        } else if let Some(rest) = call.strip_prefix("<... ") {
            let begun = unfinished.remove(process).unwrap();
            let (_, rest) = rest.split_once("resumed>").unwrap();
            if !is_acknowledgement(begun) {
                calls.extend(parse(&format!("{begun}{rest}"), folder));
            }
        } else if is_acknowledgement(call) {
            calls.push(Call::Acknowledged);
        } else {
            calls.extend(parse(call, folder));
        }
    }
    calls
}

/// Whether a 2xx goes out.
fn is_acknowledgement(call: &str) -> bool {
    let (name, rest) = call.split_once('(').unwrap_or_default();
    // `HTTP/1.1 2`
    matches!(name, "write" | "writev" | "sendto")
        && rest.contains(r#""\x48\x54\x54\x50\x2f\x31\x2e\x31\x20\x32"#)
        // `socket:` or `TCP:`
        && (rest.contains(r"<\x73\x6f\x63\x6b\x65\x74") || rest.contains(r"<\x54\x43\x50"))
}

fn parse(call: &str, folder: &Path) -> Option<Call> {
    let (name, rest) = call.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let result: i64 = result.split(['<', ' ']).next()?.parse().ok().filter(|result| *result >= 0)?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let texts = texts(arguments);
    let path = |number: usize| {
        let path = PathBuf::from(std::str::from_utf8(texts.get(number)?).ok()?);
        assert!(path.is_absolute(), "{call}");
        path.starts_with(folder).then_some(path)
    };
    // the number before `<path>`
    let fd = || arguments.split(['<', ',']).next()?.parse::<u32>().ok();
    let of_folder = || {
        let (_, of) = arguments.split_once('<')?;
        let of = unescaped(of.split_once('>')?.0);
        Path::new(std::str::from_utf8(&of).ok()?).starts_with(folder).then_some(())
    };
    let number = |from_end: usize| arguments.rsplit(", ").nth(from_end)?.parse::<u64>().ok();
    Some(match name {
        "open" | "openat" | "creat" => {
            let (creates, truncates) = (arguments.contains("O_CREAT"), arguments.contains("O_TRUNC"));
            let appends = arguments.contains("O_APPEND");
            Call::Open { fd: u32::try_from(result).ok()?, path: path(0)?, creates, truncates, appends }
        }
        "close" => Call::Close { fd: fd()? },
        "lseek" => Call::Seek { fd: fd()?, to: u64::try_from(result).ok()? },
        "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" => {
            of_folder()?;
            let mut bytes = texts.concat();
            bytes.truncate(usize::try_from(result).ok()?);
            let at = match name {
                "pwrite64" | "pwritev" => Some(number(0)?),
                "pwritev2" => Some(number(1)?),
                _ => None,
            };
            Call::Write { fd: fd()?, at, bytes }
        }
        "ftruncate" => Call::Truncate { fd: fd()?, length: number(0)? },
        "fsync" | "fdatasync" => Call::Sync { fd: fd()? },
        "rename" | "renameat" | "renameat2" => Call::Rename { from: path(0)?, to: path(1)? },
        "link" | "linkat" => Call::Link { from: path(0)?, to: path(1)? },
        "unlink" | "unlinkat" | "rmdir" => Call::Remove { path: path(0)? },
        "mkdir" | "mkdirat" => Call::MakeFolder { path: path(0)? },
        "sendto" | "sendmsg" => return None,
        // no reading of these; should one of them be used some day, the test has to learn it
        "fallocate" => return of_folder().map(|()| panic!("{call}")),
        other => panic!("{other}"),
    })
}

/// The texts in quotes, each as bytes.
fn texts(arguments: &str) -> Vec<Vec<u8>> {
    arguments.split('"').skip(1).step_by(2).map(unescaped).collect()
}

/// `\x7b\x22`
fn unescaped(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).map(|digits| u8::from_str_radix(digits.get(..2).unwrap(), 16).unwrap()).collect()
}
