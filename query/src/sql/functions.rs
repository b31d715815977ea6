//! The product's SQL functions. Each is a pure function of texts; a null argument gives null.
//!
//! | function | gives |
//! |---|---|
//! | `spiffe_trust_domain(principal)`, `spiffe_namespace(principal)`, `spiffe_service_account(principal)` | parts of `td/ns/N/sa/S`, with or without `spiffe://`; null if it has not that form |
//! | `cidr_contains(cidr, address)` | whether the address, with or without port, lies in the block; null if either is none |
//! | `has_flag(response_flags, flag)` | whether the comma-joined set holds the flag: `has_flag('URX,UF', 'UF')` |
//! | `url_decode(text)` | percent-decoded once; bytes that are no UTF-8 become U+FFFD |
//! | `path_template(path)` | the path without query, decoded once, ids replaced: `/orders/17` → `/orders/{id}` |
//! | `host_of(authority)` | lower-case host without port and trailing dot |
//! | `evidence(log_id, time)` | aggregate: the ids of the group's 20 earliest rows, for a detection's `evidence` |
//! | `names(text)` | aggregate: the group's distinct values, in order and joined by `, `; more than 20 end in `…` |
//! | `json_get(json, key…)`, `json_get_str`, `json_get_int`, … | values in a JSON text such as `extra` (crate `datafusion-functions-json`) |

mod few;
mod net;
mod text;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringViewArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::prelude::SessionContext;

pub use few::MOST_EVIDENCE;
pub use net::cidr_contains;
pub use text::{has_flag, host_of, path_template, spiffe_part, url_decode};

/// Registers every function.
///
/// # Errors
/// If DataFusion refuses one.
pub fn register(context: &SessionContext) -> Result<()> {
    one(context, "spiffe_trust_domain", |text| spiffe_part(text, 0).map(str::to_owned));
    one(context, "spiffe_namespace", |text| spiffe_part(text, 2).map(str::to_owned));
    one(context, "spiffe_service_account", |text| spiffe_part(text, 4).map(str::to_owned));
    one(context, "url_decode", |text| Some(url_decode(text)));
    one(context, "path_template", |text| Some(path_template(text)));
    one(context, "host_of", |text| Some(host_of(text)));
    two(context, "cidr_contains", cidr_contains);
    two(context, "has_flag", |flags, flag| Some(has_flag(flags, flag)));
    few::all().into_iter().for_each(|function| context.register_udaf(function));
    let mut state = context.state();
    datafusion_functions_json::register_all(&mut state)?;
    // register_all works on a copy of the state: carry over what it added
    for function in state.scalar_functions().values() {
        context.register_udf(function.as_ref().clone());
    }
    Ok(())
}

/// A function text → text.
fn one(context: &SessionContext, name: &str, f: fn(&str) -> Option<String>) {
    let call = move |args: &[ColumnarValue]| -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(args)?;
        let texts = views(&arrays, 0)?;
        let mut out = StringViewBuilder::with_capacity(texts.len());
        for text in &texts {
            out.append_option(text.and_then(f));
        }
        done(args, Arc::new(out.finish()))
    };
    context.register_udf(create_udf(
        name,
        vec![DataType::Utf8View],
        DataType::Utf8View,
        Volatility::Immutable,
        Arc::new(call),
    ));
}

/// A function (text, text) → boolean.
fn two(context: &SessionContext, name: &str, f: fn(&str, &str) -> Option<bool>) {
    let call = move |args: &[ColumnarValue]| -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(args)?;
        let (left, right) = (views(&arrays, 0)?, views(&arrays, 1)?);
        let out: BooleanArray = left.iter().zip(&right).map(|(left, right)| f(left?, right?)).collect();
        done(args, Arc::new(out))
    };
    let types = vec![DataType::Utf8View, DataType::Utf8View];
    context.register_udf(create_udf(name, types, DataType::Boolean, Volatility::Immutable, Arc::new(call)));
}

fn views(arrays: &[ArrayRef], place: usize) -> Result<StringViewArray> {
    let array = arrays
        .get(place)
        .ok_or_else(|| datafusion::error::DataFusionError::Execution("an argument is missing".to_owned()))?;
    Ok(arrow::compute::cast(array, &DataType::Utf8View)?.as_string_view().clone())
}

/// Constant arguments give a constant: the optimizer folds it.
fn done(args: &[ColumnarValue], array: ArrayRef) -> Result<ColumnarValue> {
    if args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
        return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&array, 0)?));
    }
    Ok(ColumnarValue::Array(array))
}

#[cfg(test)]
mod tests;
