//! A `serde` serializer that writes compact JSON to the output window.
//!
//! Same text as `serde_json::to_string`, which the tests hold it to, but for floats that are
//! written with an exponent (`1e16` here, `1e+16` there). One type serves values and map keys: a
//! key is a value that must be a string, so numbers are quoted and the rest is refused.

use core::fmt::{self, Display, Write};

use serde::{Serialize, ser};

use crate::runtime::alloc::string::{String, ToString};
use crate::runtime::output::{Output, OutputFull};

/// Why a value could not be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// The text is longer than the window.
    Full(OutputFull),
    /// A map key is neither a string nor a number.
    Key,
    /// The value's own `Serialize` gave up.
    Custom(String),
}

impl Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(full) => full.fmt(formatter),
            Self::Key => {
                formatter.write_str("the result has no JSON form: a map key must be a string")
            }
            Self::Custom(text) => write!(formatter, "the result has no JSON form: {text}"),
        }
    }
}

impl core::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }
}

impl From<OutputFull> for Error {
    fn from(full: OutputFull) -> Self {
        Self::Full(full)
    }
}

type Written = Result<(), Error>;

/// Appends the JSON of `value`. After an error the output ends with an incomplete text.
pub(super) fn append(value: &impl Serialize, output: &mut Output) -> Written {
    value.serialize(Serializer { output, is_key: false })
}

/// For `#[serde(serialize_with)]`: a value as the string it displays as, streamed.
pub(super) fn as_text<S: ser::Serializer>(
    value: &impl Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Writes one value, or one map key.
struct Serializer<'a> {
    output: &'a mut Output,
    is_key: bool,
}

impl<'a> Serializer<'a> {
    /// A number or a boolean, which JSON allows as a key only in quotes.
    fn scalar(self, text: fmt::Arguments<'_>) -> Written {
        let quote = if self.is_key { "\"" } else { "" };
        display(self.output, format_args!("{quote}{text}{quote}"))
    }

    /// Anything that cannot be a key.
    fn no_key(self) -> Result<&'a mut Output, Error> {
        if self.is_key { Err(Error::Key) } else { Ok(self.output) }
    }

    /// A list of elements between brackets.
    fn list(self, open: u8, close: &'static [u8]) -> Result<List<'a>, Error> {
        let output = self.no_key()?;
        output.push(open)?;
        Ok(List { output, is_first: true, close })
    }

    /// `{"variant":` and a list; `close` also ends the object.
    fn variant_list(
        self,
        variant: &str,
        open: u8,
        close: &'static [u8],
    ) -> Result<List<'a>, Error> {
        let output = self.no_key()?;
        open_variant(output, variant)?;
        Serializer { output, is_key: false }.list(open, close)
    }
}

/// `{"variant":`
fn open_variant(output: &mut Output, variant: &str) -> Written {
    output.push(b'{')?;
    string(output, variant)?;
    Ok(output.push(b':')?)
}

/// Writes formatted text as it is. Only a full output fails: a `Display` has no error of its own.
fn display(output: &mut Output, text: fmt::Arguments<'_>) -> Written {
    output.write_fmt(text).map_err(|fmt::Error| output.full().into())
}

/// Writes text as a JSON string.
fn string(output: &mut Output, text: &str) -> Written {
    output.push(b'"')?;
    escape(output, text)?;
    Ok(output.push(b'"')?)
}

/// Writes text as the inside of a JSON string (RFC 8259, section 7): runs as they are, and between
/// them what must be escaped.
fn escape(output: &mut Output, text: &str) -> Result<(), OutputFull> {
    let mut rest = text.as_bytes();
    loop {
        let (run, tail) = rest.split_at(plain_len(rest));
        output.write(run)?;
        let Some((byte, after)) = tail.split_first() else {
            return Ok(());
        };
        output.write(escape_sequence(*byte).trim_ascii_end())?;
        rest = after;
    }
}

/// How many bytes come before the first that must be escaped.
fn plain_len(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks();
    let in_word = |word: &[u8; 8]| match to_escape(u64::from_le_bytes(*word)) {
        0 => None,
        marks => Some(marks.trailing_zeros() as usize / 8),
    };
    for (index, word) in words.iter().enumerate() {
        if let Some(at) = in_word(word) {
            return index * 8 + at;
        }
    }
    // The last word again, moved to the end: in what it shares with the one before is nothing.
    if let Some(last) = text.last_chunk() {
        return in_word(last).map_or(text.len(), |at| text.len() - 8 + at);
    }
    rest.iter().position(|byte| needs_escape(*byte)).unwrap_or(rest.len())
}

fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// The same for eight bytes: the top bit of each that must be escaped. Exact for the lowest of
/// them; above it there may be more.
fn to_escape(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & (ONES << 7)
}

/// What stands for a byte that may not appear in a string; spaces at its end do not count.
fn escape_sequence(byte: u8) -> [u8; 6] {
    match byte {
        b'"' => *b"\\\"    ",
        b'\\' => *b"\\\\    ",
        b'\x08' => *b"\\b    ",
        b'\x0C' => *b"\\f    ",
        b'\n' => *b"\\n    ",
        b'\r' => *b"\\r    ",
        b'\t' => *b"\\t    ",
        control => {
            let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
            [b'\\', b'u', b'0', b'0', digit(control >> 4), digit(control & 15)]
        }
    }
}

/// Escapes what is formatted into it.
struct Escaped<'a>(&'a mut Output);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text).map_err(|OutputFull { .. }| fmt::Error)
    }
}

/// Implements the methods for numbers that only differ in their type.
macro_rules! scalars {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(
            fn $method(self, value: $type) -> Written {
                self.scalar(format_args!("{value}"))
            }
        )*
    };
}

impl<'a> ser::Serializer for Serializer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = List<'a>;
    type SerializeStruct = List<'a>;
    type SerializeStructVariant = List<'a>;

    scalars! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
    }

    // `Debug` of a float is the shortest text that reads back as the same number, with an exponent
    // where that is shorter. JSON has no word for infinite and not-a-number.
    fn serialize_f32(self, value: f32) -> Written {
        if value.is_finite() {
            self.scalar(format_args!("{value:?}"))
        } else {
            self.serialize_unit()
        }
    }

    fn serialize_f64(self, value: f64) -> Written {
        if value.is_finite() {
            self.scalar(format_args!("{value:?}"))
        } else {
            self.serialize_unit()
        }
    }

    fn serialize_char(self, value: char) -> Written {
        string(self.output, value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Written {
        string(self.output, value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Written {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Written {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        Ok(self.no_key()?.write(b"null")?)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Written {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Written {
        string(self.output, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        let output = self.no_key()?;
        open_variant(output, variant)?;
        value.serialize(Serializer { output, is_key: false })?;
        Ok(output.push(b'}')?)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<List<'a>, Error> {
        self.list(b'[', b"]")
    }

    fn serialize_tuple(self, _len: usize) -> Result<List<'a>, Error> {
        self.list(b'[', b"]")
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<List<'a>, Error> {
        self.list(b'[', b"]")
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<List<'a>, Error> {
        self.variant_list(variant, b'[', b"]}")
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<List<'a>, Error> {
        self.list(b'{', b"}")
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<List<'a>, Error> {
        self.list(b'{', b"}")
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<List<'a>, Error> {
        self.variant_list(variant, b'{', b"}}")
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Written {
        self.output.push(b'"')?;
        let escaped = write!(Escaped(self.output), "{value}");
        escaped.map_err(|fmt::Error| self.output.full())?;
        Ok(self.output.push(b'"')?)
    }
}

/// The elements of an array or object, after its opening bracket.
struct List<'a> {
    output: &'a mut Output,
    is_first: bool,
    /// The bracket, or brackets, that end it.
    close: &'static [u8],
}

impl List<'_> {
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        value.serialize(Serializer { output: self.output, is_key: false })
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.comma()?;
        self.value(value)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Written {
        self.comma()?;
        string(self.output, name)?;
        self.output.push(b':')?;
        self.value(value)
    }

    fn comma(&mut self) -> Written {
        if !core::mem::take(&mut self.is_first) {
            self.output.push(b',')?;
        }
        Ok(())
    }

    fn close(self) -> Written {
        Ok(self.close.iter().try_for_each(|byte| self.output.push(*byte))?)
    }
}

impl ser::SerializeMap for List<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.comma()?;
        key.serialize(Serializer { output: self.output, is_key: true })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.output.push(b':')?;
        self.value(value)
    }

    fn end(self) -> Written {
        self.close()
    }
}

/// Implements the traits that only differ in the names of trait and method.
macro_rules! lists {
    ($($trait:ident $method:ident => $element:ident($($name:ident)?);)*) => {
        $(
            impl ser::$trait for List<'_> {
                type Ok = ();
                type Error = Error;

                fn $method<T: Serialize + ?Sized>(
                    &mut self,
                    $($name: &'static str,)?
                    value: &T,
                ) -> Written {
                    self.$element($($name,)? value)
                }

                fn end(self) -> Written {
                    self.close()
                }
            }
        )*
    };
}

lists! {
    SerializeSeq serialize_element => element();
    SerializeTuple serialize_element => element();
    SerializeTupleStruct serialize_field => element();
    SerializeTupleVariant serialize_field => element();
    SerializeStruct serialize_field => field(name);
    SerializeStructVariant serialize_field => field(name);
}

#[cfg(test)]
mod tests;
