//! Aggregates that keep a few values of each group, in memory that does not grow with the group: a flood is no reason to hold all of it.
//!
//! | function | gives | says in standard SQL, which sorts and holds every row |
//! |---|---|---|
//! | `evidence(log_id, time)` | list of text: the ids of the 20 earliest rows | `array_slice(array_agg(log_id ORDER BY time, log_id), 1, 20)` |
//! | `names(text)` | text: the first 20 distinct values in order (numbers by value) and `…` if there are more; null if there is none | `array_to_string(array_agg(DISTINCT text ORDER BY text), ', ')` |

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, Int64Builder, ListArray, ListBuilder, StringViewArray,
    StringViewBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

/// Values that are named at most.
pub const MOST_EVIDENCE: usize = 20;

/// The aggregate functions of this module.
pub(super) fn all() -> [AggregateUDF; 2] {
    let instants = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let few = |what, types| {
        AggregateUDF::new_from_impl(Few { what, signature: Signature::exact(types, Volatility::Immutable) })
    };
    [few(What::Evidence, vec![DataType::Utf8View, instants]), few(What::Names, vec![DataType::Utf8View])]
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Few {
    what: What,
    signature: Signature,
}

/// Which values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    /// Those with the earliest times.
    Evidence,
    /// The first in order.
    Names,
}

/// The values of a group: smallest first, by rank and text, each once.
#[derive(Debug, Default)]
struct Kept(Vec<(i64, Box<str>)>);

/// Ranks and texts of some rows.
struct Rows {
    ranks: Int64Array,
    texts: StringViewArray,
}

impl AggregateUDFImpl for Few {
    fn name(&self) -> &'static str {
        match self.what {
            What::Evidence => "evidence",
            What::Names => "names",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.what {
            What::Evidence => list(DataType::Utf8View),
            What::Names => DataType::Utf8View,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |part, item| Arc::new(Field::new(format_state_name(args.name, part), list(item), true));
        Ok(vec![field("ranks", DataType::Int64), field("texts", DataType::Utf8View)])
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup(Groups::new(self.what))))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(self.what)))
    }
}

impl What {
    /// How many are kept: one more than are named, where it is to be told that there are more.
    fn most(self) -> usize {
        match self {
            What::Evidence => MOST_EVIDENCE,
            What::Names => MOST_EVIDENCE + 1,
        }
    }

    fn rows(self, arguments: &[ArrayRef]) -> Result<Rows> {
        let texts = |array: &ArrayRef| -> Result<StringViewArray> {
            Ok(cast(array, &DataType::Utf8View)?.as_string_view().clone())
        };
        match (self, arguments) {
            (What::Evidence, [ids, times]) => {
                Ok(Rows { ranks: cast(times, &DataType::Int64)?.as_primitive().clone(), texts: texts(ids)? })
            }
            (What::Names, [names]) => {
                let texts = texts(names)?;
                Ok(Rows { ranks: texts.iter().map(|text| Some(rank(text?))).collect(), texts })
            }
            _ => Err(DataFusionError::Internal("an aggregate's argument is missing".to_owned())),
        }
    }
}

/// Numbers come in their order, before any text.
fn rank(text: &str) -> i64 {
    let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    number.unwrap_or(i64::MAX)
}

impl Kept {
    fn is_full_of_smaller(&self, most: usize, rank: i64, text: &str) -> bool {
        self.0.len() >= most && self.0.last().is_some_and(|(last, known)| (*last, &**known) <= (rank, text))
    }

    fn take(&mut self, most: usize, rank: i64, text: &str) {
        let order = |known: &(i64, Box<str>)| known.0.cmp(&rank).then_with(|| (*known.1).cmp(text));
        if let Err(place) = self.0.binary_search_by(order) {
            self.0.truncate(most.saturating_sub(1));
            self.0.insert(place, (rank, text.into()));
        }
    }

    fn bytes(&self) -> usize {
        let texts: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        texts + self.0.capacity() * size_of::<(i64, Box<str>)>()
    }
}

/// The values of every group.
#[derive(Debug)]
struct Groups {
    what: What,
    kept: Vec<Kept>,
    /// Bytes behind `kept`.
    bytes: usize,
}

impl Groups {
    fn new(what: What) -> Self {
        Groups { what, kept: Vec::new(), bytes: 0 }
    }

    fn take(&mut self, group: usize, rank: i64, text: &str) {
        if let Some(kept) = self.kept.get_mut(group) {
            let most = self.what.most();
            // of a flood almost every row
            if kept.is_full_of_smaller(most, rank, text) {
                return;
            }
            let before = kept.bytes();
            kept.take(most, rank, text);
            self.bytes = (self.bytes + kept.bytes()).saturating_sub(before);
        }
    }

    fn take_rows(&mut self, rows: &Rows, group_of: impl Fn(usize) -> Option<usize>) {
        for (row, (rank, text)) in rows.ranks.iter().zip(&rows.texts).enumerate() {
            if let (Some(rank), Some(text), Some(group)) = (rank, text, group_of(row)) {
                self.take(group, rank, text);
            }
        }
    }

    fn emit(&mut self, emit_to: EmitTo) -> Vec<Kept> {
        let emitted = emit_to.take_needed(&mut self.kept);
        let bytes: usize = emitted.iter().map(Kept::bytes).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        emitted
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.kept.resize_with(total.max(self.kept.len()), Kept::default);
        let passes = |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        let rows = self.what.rows(values)?;
        self.take_rows(&rows, |row| groups.get(row).copied().filter(|_| passes(row)));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.kept.resize_with(total.max(self.kept.len()), Kept::default);
        let [ranks, texts] = states else {
            return Err(DataFusionError::Internal("an aggregate's state is missing".to_owned()));
        };
        let states = ranks.as_list::<i32>().iter().zip(texts.as_list::<i32>().iter());
        for ((ranks, texts), group) in states.zip(groups) {
            let (Some(ranks), Some(texts)) = (ranks, texts) else { continue };
            let rows = Rows { ranks: ranks.as_primitive::<Int64Type>().clone(), texts: texts.as_string_view().clone() };
            self.take_rows(&rows, |_| Some(*group));
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let emitted = self.emit(emit_to);
        Ok(match self.what {
            What::Evidence => Arc::new(texts_of(&emitted)),
            What::Names => {
                let mut names = StringViewBuilder::with_capacity(emitted.len());
                emitted.iter().for_each(|kept| names.append_option(joined(kept)));
                Arc::new(names.finish())
            }
        })
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let emitted = self.emit(emit_to);
        let mut ranks = ListBuilder::new(Int64Builder::new());
        for Kept(kept) in &emitted {
            kept.iter().for_each(|(rank, _)| ranks.values().append_value(*rank));
            ranks.append(true);
        }
        Ok(vec![Arc::new(ranks.finish()), Arc::new(texts_of(&emitted))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let each: Vec<usize> = (0..rows).collect();
        let mut groups = Groups::new(self.what);
        groups.update_batch(values, &each, filter, rows)?;
        groups.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.kept.capacity() * size_of::<Kept>() + self.bytes
    }
}

/// The texts of each group.
fn texts_of(groups: &[Kept]) -> ListArray {
    let mut texts = ListBuilder::new(StringViewBuilder::new());
    for Kept(kept) in groups {
        kept.iter().for_each(|(_, text)| texts.values().append_value(text));
        texts.append(true);
    }
    texts.finish()
}

/// `a, b, c`, with `…` in the place of what is too much.
fn joined(Kept(kept): &Kept) -> Option<String> {
    let mut names: Vec<&str> = kept.iter().take(MOST_EVIDENCE).map(|(_, name)| &**name).collect();
    if kept.len() > MOST_EVIDENCE {
        names.push("…");
    }
    (!names.is_empty()).then(|| names.join(", "))
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// The same for a query without groups.
#[derive(Debug)]
struct OneGroup(Groups);

impl OneGroup {
    fn scalars(arrays: &[ArrayRef]) -> Result<Vec<ScalarValue>> {
        arrays.iter().map(|array| ScalarValue::try_from_array(array, 0)).collect()
    }
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |values| values.len());
        self.0.update_batch(values, &vec![0; rows], None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.kept.resize_with(1, Kept::default);
        ScalarValue::try_from_array(&self.0.evaluate(EmitTo::All)?, 0)
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.kept.resize_with(1, Kept::default);
        Self::scalars(&self.0.state(EmitTo::All)?)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |states| states.len());
        self.0.merge_batch(states, &vec![0; rows], 1)
    }
}
