//! Variables as documents show them: to clients, who see no secret, and to the registry that keeps
//! the action.

use core::fmt;

use super::{VariableKind, Variables};
use crate::json::{Quoted, write_escaped};
use crate::registry::KeyValues;

/// Whose eyes a list of variables is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Somebody who asks: of secrets there is only the name.
    Client,
    /// The registry that keeps the action.
    Store,
}

impl Variables {
    /// Writes the elements of the list, those that are parameters left out.
    ///
    /// # Errors
    /// When `out` has no room.
    pub fn write(&self, out: &mut impl fmt::Write, reader: Reader) -> fmt::Result {
        let mut separator = "";
        for (name, value, kind) in self.iter() {
            let is_secret = match kind {
                VariableKind::Parameter => continue,
                VariableKind::Secret => true,
                VariableKind::Plain => false,
            };
            write!(out, "{separator}{{\"key\":{}", Quoted(name))?;
            if !is_secret || reader == Reader::Store {
                out.write_str(",\"value\":\"")?;
                // It was text when it came.
                write_escaped(out, str::from_utf8(value).unwrap_or_default())?;
                out.write_char('"')?;
            }
            out.write_str(if is_secret { ",\"secret\":true}" } else { "}" })?;
            separator = ",";
        }
        Ok(())
    }
}

/// Writes all parameters of an action as a list without its brackets: those for the input, and
/// those that are variables.
///
/// # Errors
/// When `out` has no room.
pub fn write_parameters(
    out: &mut impl fmt::Write,
    parameters: &KeyValues,
    variables: Option<&Variables>,
) -> fmt::Result {
    out.write_str(parameters.items())?;
    let mut separator = if parameters.is_empty() { "" } else { "," };
    for (key, value) in variables.into_iter().flat_map(|variables| variables.parameters().iter()) {
        write!(out, "{separator}{{\"key\":{key},\"value\":{value},\"init\":true}}")?;
        separator = ",";
    }
    Ok(())
}
