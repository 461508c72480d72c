//! The environment variables of an action, as documents have them.
//!
//! ```text
//! "environment":[{"key":"PLAIN","value":"a"},       has this value, and is shown
//!                {"key":"TOKEN","value":"b",
//!                 "secret":true},                   has this value, and is never shown again
//!                {"key":"TOKEN","secret":true},     stays as it is: what a GET shows of a secret
//!                {"key":"GONE","value":null}]       goes
//! ```
//!
//! What is not named stays.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::api::answer::error::Reject;
use crate::json::{FieldReject, Json};
use crate::registry::{VariableChange, VariableFate, VariableReject};
use limits::{VARIABLE_NAME_LEN_MAX, VARIABLES_LEN_MAX, VARIABLES_MAX};

const NAME: &str = "environment";
const BAD_LIST: FieldReject = FieldReject { name: NAME, expected: "a list" };
const BAD_ELEMENT: FieldReject = FieldReject {
    name: NAME,
    expected: "a list of objects with a string 'key', a string 'value', and perhaps a 'secret' \
               that is true or false",
};

/// What a document wants of the variables it names.
pub fn read(json: Json<'_>) -> Result<Vec<VariableChange>, Reject> {
    let mut changes: Vec<VariableChange> = Vec::new();
    let (mut outcome, mut len) = (Ok(()), 0);
    let walked = json.elements(|element| {
        if outcome.is_ok() {
            outcome = match changes.len() {
                VARIABLES_MAX => Err(VariableReject::TooLong.into()),
                _ => change(element).and_then(|change| {
                    if let VariableFate::Set { value, .. } = &change.what {
                        len += value.len();
                    }
                    changes.push(change);
                    // Nothing of the rest is worth its memory.
                    if len > VARIABLES_LEN_MAX {
                        Err(VariableReject::TooLong.into())
                    } else {
                        Ok(())
                    }
                }),
            };
        }
    });
    walked.map_err(|_| BAD_LIST)?;
    outcome?;
    Ok(changes)
}

fn change(element: Json<'_>) -> Result<VariableChange, Reject> {
    let [key, value, secret] = element.pick(["key", "value", "secret"]).map_err(|_| BAD_ELEMENT)?;
    let name = key.filter(|key| key.is_string()).ok_or(BAD_ELEMENT)?;
    let name = name.string(VARIABLE_NAME_LEN_MAX).map_err(|_| VariableReject::Name)?;
    let name: Box<str> = (&*name).into();
    let is_secret = match secret.map(Json::boolean) {
        None => false,
        Some(is_secret) => is_secret.ok_or(BAD_ELEMENT)?,
    };
    let what = match value {
        None if is_secret => VariableFate::Keep,
        None => VariableFate::Remove,
        Some(value) if value.is_string() => VariableFate::Set { value: decoded(value)?, is_secret },
        Some(_) => return Err(BAD_ELEMENT.into()),
    };
    Ok(VariableChange { name, what })
}

/// The bytes of a JSON string, which leave no copy behind on their way.
fn decoded(text: Json<'_>) -> Result<Zeroizing<Vec<u8>>, VariableReject> {
    let mut value = Value(Zeroizing::new(Vec::new()));
    let len_max = text.text().len().min(VARIABLES_LEN_MAX);
    value.0.try_reserve_exact(len_max).map_err(|_| VariableReject::NoMemory)?;
    text.write_decoded(&mut value).map_err(|fmt::Error| VariableReject::TooLong)?;
    Ok(value.0)
}

/// A value that never grows beyond what was reserved for it.
struct Value(Zeroizing<Vec<u8>>);

impl fmt::Write for Value {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > VARIABLES_LEN_MAX - self.0.len() {
            return Err(fmt::Error);
        }
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
