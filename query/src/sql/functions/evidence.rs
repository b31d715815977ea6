//! `evidence(log_id, time)`: the earliest rows of a group.
//!
//! What `array_slice(array_agg(log_id ORDER BY time, log_id), 1, 20)` says, in memory that does not grow with the group: that one sorts and holds
//! every row of a flood to name twenty.

use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringViewArray, TimestampMicrosecondArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

/// Rows that are named at most.
pub const MOST_EVIDENCE: usize = 20;

/// The aggregate function `evidence(log_id, time)`.
#[must_use]
pub fn evidence() -> AggregateUDF {
    AggregateUDF::new_from_impl(Evidence {
        signature: Signature::exact(vec![DataType::Utf8View, instants()], Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Evidence {
    signature: Signature,
}

fn instants() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

impl AggregateUDFImpl for Evidence {
    fn name(&self) -> &'static str {
        "evidence"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(list(DataType::Utf8View))
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Earliest::default()))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |part, item| Arc::new(Field::new(format_state_name(args.name, part), list(item), true));
        Ok(vec![field("ids", DataType::Utf8View), field("times", instants())])
    }
}

/// The earliest rows so far, the latest of them on top.
#[derive(Debug, Default)]
struct Earliest(BinaryHeap<(i64, Box<str>)>);

impl Earliest {
    fn take(&mut self, time: i64, id: &str) {
        if self.0.len() < MOST_EVIDENCE {
            self.0.push((time, id.into()));
            return;
        }
        if let Some(mut latest) = self.0.peek_mut()
            && (time, id) < (latest.0, &*latest.1)
        {
            *latest = (time, id.into());
        }
    }

    fn take_all(&mut self, ids: &ArrayRef, times: &ArrayRef) -> Result<()> {
        let (Some(ids), Some(times)) = (ids.as_string_view_opt(), times.as_primitive_opt::<TimestampMicrosecondType>())
        else {
            return Err(DataFusionError::Internal("evidence() takes a text and a time".to_owned()));
        };
        for (id, time) in ids.iter().zip(times) {
            if let (Some(id), Some(time)) = (id, time) {
                self.take(time, id);
            }
        }
        Ok(())
    }

    fn sorted(&mut self) -> Vec<(i64, Box<str>)> {
        std::mem::take(&mut self.0).into_sorted_vec()
    }
}

/// A list of one item: all of an array.
fn one_list(items: ArrayRef) -> ScalarValue {
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
    ScalarValue::List(Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([items.len()]), items, None)))
}

impl Accumulator for Earliest {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values {
            [ids, times] => self.take_all(ids, times),
            _ => Err(DataFusionError::Internal("evidence() takes two arguments".to_owned())),
        }
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let ids: StringViewArray = self.sorted().iter().map(|(_, id)| Some(id)).collect();
        Ok(one_list(Arc::new(ids)))
    }

    fn size(&self) -> usize {
        let texts: usize = self.0.iter().map(|(_, id)| id.len()).sum();
        size_of::<Self>() + self.0.capacity() * size_of::<(i64, Box<str>)>() + texts
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let rows = self.sorted();
        let ids: StringViewArray = rows.iter().map(|(_, id)| Some(id)).collect();
        let times: TimestampMicrosecondArray = rows.iter().map(|(time, _)| Some(*time)).collect();
        Ok(vec![one_list(Arc::new(ids)), one_list(Arc::new(times.with_timezone("UTC")))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [ids, times] = states else {
            return Err(DataFusionError::Internal("evidence() has two states".to_owned()));
        };
        for (ids, times) in ids.as_list::<i32>().iter().zip(times.as_list::<i32>().iter()) {
            if let (Some(ids), Some(times)) = (ids, times) {
                self.take_all(&ids, &times)?;
            }
        }
        Ok(())
    }
}
