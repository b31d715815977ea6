//! Two writers of one bucket, on a store whose commits get lost on the way there or back, or arrive late, in any order and at once: every row is there
//! exactly once, and both see all of them.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path as FsPath;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use ingest::AccessLogBatch;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use proptest::prelude::*;

use super::rows::{MINUTE, batch, ids, sql};
use super::{check_lines, rolled_up};
use crate::store::bucket::Bucket;
use crate::store::closing::Closing;
use crate::store::delta::{Change, DeltaLog};
use crate::store::place::Place;
use crate::store::rewrite;
use crate::store::state::Which;
use crate::store::{Eagerness, Hold, Location, Retention, Store, StoreOptions};
use crate::window::Window;

const DAY: i64 = 24 * 60 * MINUTE;

/// What becomes of a commit.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Passes,
    /// It is made, and nobody hears of it.
    Lost,
    /// The same, and so many questions after it are not answered.
    Silence(usize),
    /// It is not made, or not yet.
    Late,
}

/// The way of one writer to a store in memory.
#[derive(Debug)]
struct Way {
    store: Arc<InMemory>,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Debug, Default)]
struct Faults {
    /// Of the next commits.
    fates: VecDeque<Fate>,
    silent: usize,
    late: Vec<(Path, PutPayload, PutOptions)>,
}

impl Way {
    fn heard(&self) -> Result<()> {
        let mut faults = self.faults.lock().unwrap();
        if faults.silent > 0 {
            faults.silent -= 1;
            return Err(no_answer());
        }
        Ok(())
    }
}

fn no_answer() -> Error {
    Error::Generic { store: "way", source: "no answer".into() }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Way")
    }
}

#[async_trait]
impl ObjectStore for Way {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let is_commit = location.as_ref().contains("/_delta_log/0") && location.as_ref().ends_with(".json");
        let fate = {
            let mut faults = self.faults.lock().unwrap();
            let fate = if is_commit { faults.fates.pop_front() } else { None }.unwrap_or(Fate::Passes);
            if matches!(fate, Fate::Late) {
                faults.late.push((location.clone(), payload.clone(), options.clone()));
                return Err(no_answer());
            }
            fate
        };
        if is_commit {
            // it takes its time: another writer's may be first
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let put = self.store.put_opts(location, payload, options).await;
        match fate {
            Fate::Lost => Err(no_answer()),
            Fate::Silence(length) => {
                self.faults.lock().unwrap().silent = length;
                Err(no_answer())
            }
            _ => put,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.heard()?;
        self.store.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.heard() {
            Ok(()) => self.store.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.heard() {
            Ok(()) => self.store.list_with_offset(prefix, offset),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.heard()?;
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// One writer: its store, and what its journal has.
struct Writer {
    location: Location,
    faults: Arc<Mutex<Faults>>,
    bucket: Arc<InMemory>,
    /// By sequence number, from 1.
    journal: Vec<AccessLogBatch>,
    store: Store,
}

fn location(bucket: &Arc<InMemory>, local: &FsPath, faults: &Arc<Mutex<Faults>>) -> Location {
    let store = Arc::new(Way { store: Arc::clone(bucket), faults: Arc::clone(faults) });
    let url = "s3://bucket/%7Eteam/pre%20fix".parse().unwrap();
    let prefix = Path::from_url_path("%7Eteam/pre%20fix").unwrap();
    Location::in_bucket(local, Bucket { url, store, prefix })
}

impl Writer {
    async fn new(bucket: &Arc<InMemory>, local: &FsPath) -> Self {
        let faults = Arc::default();
        let location = location(bucket, local, &faults);
        let store = Store::open(location.clone(), StoreOptions::default()).await.unwrap();
        Self { location, faults, bucket: Arc::clone(bucket), journal: Vec::new(), store }
    }

    async fn append(&mut self, batch: AccessLogBatch) {
        self.journal.push(batch);
        let sequence = self.journal.len() as u64;
        assert!(self.store.append_at(sequence, &self.journal[self.journal.len() - 1..]).await.unwrap());
    }

    /// The process dies and starts again; what is under way to the store arrives some time.
    async fn crash(self) -> Self {
        drop(self.store);
        {
            let mut faults = self.faults.lock().unwrap();
            (faults.silent, faults.fates) = (0, VecDeque::new());
        }
        let store = Store::open(self.location.clone(), StoreOptions::default()).await.unwrap();
        for (sequence, batch) in (1..).zip(&self.journal).filter(|(sequence, _)| *sequence > store.flushed()) {
            store.append_at(sequence, std::slice::from_ref(batch)).await.unwrap();
        }
        Self { store, ..self }
    }

    /// What was held up arrives now: one commit is made once, or comes too late.
    async fn deliver(&self) {
        let late = std::mem::take(&mut self.faults.lock().unwrap().late);
        for (location, payload, options) in late {
            let _ = self.bucket.put_opts(&location, payload, options).await;
        }
    }

    async fn act(&self, act: Act) {
        // it may fail: what counts is what is there in the end
        match act {
            Act::Flush => drop(self.store.flush().await),
            Act::Compact(eagerness) => drop(self.store.compact(eagerness, now()).await),
            Act::Retain => drop(self.store.retain(&retention(), now()).await),
            Act::Vacuum => drop(self.store.vacuum(Duration::ZERO).await),
            Act::Deliver => self.deliver().await,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Flush,
    Compact(Eagerness),
    Retain,
    Vacuum,
    Deliver,
}

#[derive(Clone, Debug)]
enum Step {
    /// Which writer, and the hours of its rows.
    Append(usize, Vec<i64>),
    One(usize, Act),
    /// Both at once.
    Both(Act, Act),
    Faults(usize, Vec<Fate>),
    Crash(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let act = || {
        prop_oneof![
            5 => Just(Act::Flush),
            4 => prop_oneof![Just(Eagerness::Steady), Just(Eagerness::Full)].prop_map(Act::Compact),
            1 => Just(Act::Retain),
            1 => Just(Act::Vacuum),
            1 => Just(Act::Deliver),
        ]
    };
    let fate = prop_oneof![
        2 => Just(Fate::Passes),
        2 => Just(Fate::Lost),
        2 => Just(Fate::Late),
        1 => (1..4_usize).prop_map(Fate::Silence),
    ];
    prop_oneof![
        6 => (0..2_usize, prop::collection::vec(0..72_i64, 0..4)).prop_map(|(writer, hours)| Step::Append(writer, hours)),
        4 => (0..2_usize, act()).prop_map(|(writer, act)| Step::One(writer, act)),
        6 => (act(), act()).prop_map(|(one, two)| Step::Both(one, two)),
        2 => (0..2_usize, prop::collection::vec(fate, 1..5)).prop_map(|(writer, fates)| Step::Faults(writer, fates)),
        1 => (0..2_usize).prop_map(Step::Crash),
    ]
}

/// Rows are of days 0, 1 and 2; day 0 is too old.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(11 * DAY).unwrap()
}

const HELD: &str = "0-0, source_principal, row 0";

fn retention() -> Retention {
    let hold = Hold { name: "case".to_owned(), window: Window::new(0, 3 * DAY).unwrap(), entity: Some(HELD.into()) };
    Retention { access_logs_days: Some(10), holds: vec![hold], ..Retention::default() }
}

async fn run(steps: Vec<Step>) {
    let (bucket, folder) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
    let locals = ["one", "two"].map(|name| folder.path().join(name));
    let mut writers = [Writer::new(&bucket, &locals[0]).await, Writer::new(&bucket, &locals[1]).await];
    let mut left = Vec::new();
    for step in steps {
        match step {
            Step::Append(writer, hours) => {
                let source = format!("{writer}-{}", writers[writer].journal.len());
                let times: Vec<i64> = hours.iter().map(|hour| hour * 60 * MINUTE).collect();
                let batch = batch(&source, &times, 1);
                let stays = |row: usize| times[row] >= DAY || (source == "0-0" && row == 0);
                left.extend(ids(&batch.rows).into_iter().enumerate().filter(|(row, _)| stays(*row)).map(|(_, id)| id));
                writers[writer].append(batch).await;
            }
            Step::One(writer, act) => writers[writer].act(act).await,
            Step::Both(one, two) => {
                let [first, second] = &writers;
                tokio::join!(first.act(one), second.act(two));
            }
            Step::Faults(writer, fates) => writers[writer].faults.lock().unwrap().fates = fates.into(),
            Step::Crash(writer) => {
                let [one, two] = writers;
                writers = match writer {
                    0 => [one.crash().await, two],
                    _ => [one, two.crash().await],
                };
            }
        }
    }
    for writer in &writers {
        {
            let mut faults = writer.faults.lock().unwrap();
            (faults.silent, faults.fates) = (0, VecDeque::new());
        }
        writer.deliver().await;
    }
    for writer in &writers {
        writer.store.flush().await.unwrap();
        assert_eq!(writer.store.flushed(), writer.journal.len() as u64);
    }
    writers[0].store.retain(&retention(), now()).await.unwrap();
    let rejects: Vec<String> =
        writers.iter().flat_map(|writer| writer.journal.iter().flat_map(|batch| ids(&batch.rejects))).collect();
    let reader = Store::open_read_only(writers[0].location.clone()).await.unwrap();
    check_lines(&reader.snapshot(), &left, &rejects).await;
    for writer in &writers {
        // each sees what the other wrote at its next flush, whatever else it did before
        writer.store.vacuum(Duration::ZERO).await.unwrap();
        writer.store.flush().await.unwrap();
        check_lines(&writer.store.snapshot(), &left, &rejects).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_row_is_there_once(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}

/// `MESHWARDEN_CASES=300 cargo test -p query writers::` for the long run.
fn cases() -> u32 {
    std::env::var("MESHWARDEN_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(16)
}

/// Both have read the same version of the log, and make one file of the same two.
#[tokio::test]
async fn files_give_way_once() {
    let (bucket, folder) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
    let mut writer = Writer::new(&bucket, &folder.path().join("one")).await;
    for source in ["a", "b"] {
        writer.append(batch(source, &[0, MINUTE], 0)).await;
        writer.store.flush().await.unwrap();
    }
    rolled_up(&writer.store.snapshot()).await;
    let shape = Which::AccessLogs.shape();
    let place = Place::of(&writer.location, shape.name).unwrap();
    let mut logs = Vec::new();
    for name in ["one", "two"] {
        logs.push(DeltaLog::open(&place, name, &shape).await.unwrap().unwrap());
    }
    let old = logs[0].list().unwrap().files;
    let mut exchanged = Vec::new();
    for log in &mut logs {
        let made =
            rewrite::into_one(Arc::clone(&shape), &place, 1, old.clone(), None, &Closing::default()).await.unwrap();
        exchanged.push(log.exchange(&shape, &old, made.file.as_slice(), &Change::Compacted, now()).await.unwrap());
    }
    assert_eq!(exchanged, [true, false]);
    let count = "select count(*), count(distinct log_id) from access_logs";
    let reader = Store::open_read_only(writer.location.clone()).await.unwrap();
    assert_eq!(sql(&reader.snapshot(), count).await, [["4", "4"]]);
}

/// The first that does this is not the last: a store that overwrites what is there is none that writers can share.
#[tokio::test]
async fn a_store_that_overwrites_is_refused() {
    #[derive(Debug)]
    struct Overwrites(InMemory);
    impl fmt::Display for Overwrites {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "Overwrites")
        }
    }
    #[async_trait]
    impl ObjectStore for Overwrites {
        async fn put_opts(&self, location: &Path, payload: PutPayload, _: PutOptions) -> Result<PutResult> {
            self.0.put_opts(location, payload, PutOptions::default()).await
        }
        async fn put_multipart_opts(
            &self,
            to: &Path,
            options: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(to, options).await
        }
        async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
            self.0.get_opts(location, options).await
        }
        fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.0.delete_stream(locations)
        }
        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.0.list(prefix)
        }
        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }
        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (url, prefix) = ("s3://bucket/p".parse().unwrap(), Path::from("p"));
    let bucket = Bucket { url, store: Arc::new(Overwrites(InMemory::new())), prefix };
    let opened = Store::open(Location::in_bucket(folder.path(), bucket), StoreOptions::default()).await;
    let error = opened.unwrap_err().to_string();
    assert!(error.contains("overwrites"), "{error}");
}
