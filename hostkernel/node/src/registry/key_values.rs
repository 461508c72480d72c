//! Bound parameters and annotations: names with JSON values, kept as the text they are sent as.
//!
//! A parsed tree of a megabyte of JSON can take twenty; the text takes a megabyte. It is stored
//! ready to be sent, with a small index beside it that finds a name in logarithmic time, so that
//! merging parameters into a request costs time proportional to the request.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use memory::OutOfFrames;

/// An ordered list of distinct names, each with a value. Names and values are JSON text; names are
/// in one canonical spelling, so that equal names are equal text.
#[derive(Debug, Default)]
pub struct KeyValues {
    // `{"key":NAME,"value":VALUE}` objects with commas between, in the order they were given.
    items: Box<str>,
    // Sorted by name.
    index: Box<[Item]>,
}

/// Where a name and its value are in `items`.
#[derive(Clone, Copy, Debug)]
struct Item {
    key: Span,
    value: Span,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

impl KeyValues {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores names and values, both JSON text. Of equal names the last one counts.
    ///
    /// # Errors
    /// [`OutOfFrames`] if the heap has no room.
    ///
    /// # Panics
    /// If the text is longer than 4 GiB; requests are bounded far below.
    pub fn from_items<K: AsRef<str>>(items: &[(K, &str)]) -> Result<Self, OutOfFrames> {
        let last: BTreeMap<&str, usize> =
            items.iter().enumerate().map(|(position, (key, _))| (key.as_ref(), position)).collect();
        let kept = || {
            let counts = |position, key| last.get(key).is_some_and(|kept| *kept == position);
            let items = items.iter().map(|(key, value)| (key.as_ref(), *value)).enumerate();
            items.filter(move |(position, (key, _))| counts(*position, *key)).map(|(_, item)| item)
        };
        let len = kept().map(|(key, value)| key.len() + value.len()).sum();
        let mut builder = Builder::new(len, last.len())?;
        for (key, value) in kept() {
            builder.begin(key);
            builder.push(value);
            builder.end();
        }
        Ok(builder.finish())
    }

    /// The JSON objects with commas between, without the brackets of the array.
    #[must_use]
    pub fn items(&self) -> &str {
        &self.items
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// What it takes of the kernel heap.
    #[must_use]
    pub fn heap_len(&self) -> usize {
        self.items.len() + size_of_val(&*self.index)
    }

    /// Whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Position of a name, in the canonical JSON spelling, in the order of [`KeyValues::iter`].
    #[must_use]
    pub fn position(&self, key: &str) -> Option<usize> {
        self.index.binary_search_by(|item| item.key.of(&self.items).cmp(key)).ok()
    }

    /// The value of a name in the canonical JSON spelling.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let item = self.index.get(self.position(key)?)?;
        Some(item.value.of(&self.items))
    }

    /// Name and value at a position, as JSON text.
    #[must_use]
    pub fn at(&self, position: usize) -> Option<(&str, &str)> {
        let item = self.index.get(position)?;
        Some((item.key.of(&self.items), item.value.of(&self.items)))
    }

    /// Names and values as JSON text, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.index.iter().map(|item| (item.key.of(&self.items), item.value.of(&self.items)))
    }
}

/// Names and values that are put together piece by piece. Names are distinct.
pub struct Builder {
    text: String,
    index: Vec<Item>,
    /// Name of the item that is begun, and where its value begins.
    key: Span,
    value_start: u32,
}

impl Builder {
    /// One for so many items, whose names and values have so many bytes.
    ///
    /// # Errors
    /// [`OutOfFrames`] if the heap has no room.
    pub fn new(len: usize, count: usize) -> Result<Self, OutOfFrames> {
        let len = len + count * r#"{"key":,"value":},"#.len();
        let mut text = String::new();
        text.try_reserve_exact(len.saturating_sub(1)).map_err(|_| OutOfFrames)?;
        let mut index = Vec::new();
        index.try_reserve_exact(count).map_err(|_| OutOfFrames)?;
        Ok(Self { text, index, key: Span { start: 0, end: 0 }, value_start: 0 })
    }

    /// Begins the next item, with its name.
    pub fn begin(&mut self, key: &str) {
        let Self { text, .. } = self;
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(r#"{"key":"#);
        let start = narrow(text.len());
        text.push_str(key);
        self.key = Span { start, end: narrow(text.len()) };
        text.push_str(r#","value":"#);
        self.value_start = narrow(text.len());
    }

    /// Adds a piece of its value.
    pub fn push(&mut self, piece: &str) {
        #[cfg(test)]
        memory::effort::note_written(piece.len());
        self.text.push_str(piece);
    }

    /// Ends it.
    pub fn end(&mut self) {
        let value = Span { start: self.value_start, end: narrow(self.text.len()) };
        self.text.push('}');
        self.index.push(Item { key: self.key, value });
    }

    /// All of them.
    #[must_use]
    pub fn finish(self) -> KeyValues {
        let Self { text, mut index, .. } = self;
        index.sort_unstable_by(|a, b| a.key.of(&text).cmp(b.key.of(&text)));
        KeyValues { items: text.into_boxed_str(), index: index.into_boxed_slice() }
    }

    /// How much memory it takes.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.text.capacity()
    }
}

/// A place in the text.
fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).expect("key-value text is below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(items: &[(&str, &str)]) -> KeyValues {
        KeyValues::from_items(items).expect("the heap has room")
    }

    #[test]
    fn the_order_of_the_items_is_kept_and_the_last_of_equal_names_counts() {
        let values = of(&[(r#""b""#, "1"), (r#""a""#, "2"), (r#""b""#, "[3]")]);
        assert_eq!(values.items(), r#"{"key":"a","value":2},{"key":"b","value":[3]}"#);
        assert_eq!(values.len(), 2);
        let sorted: Vec<_> = values.iter().collect();
        assert_eq!(sorted, [(r#""a""#, "2"), (r#""b""#, "[3]")]);
        assert_eq!(values.position(r#""b""#), Some(1));
        assert_eq!(values.position(r#""c""#), None);
        assert_eq!((values.get(r#""b""#), values.get(r#""c""#)), (Some("[3]"), None));
    }

    #[test]
    fn nothing_is_nothing() {
        let values = of(&[]);
        assert!(values.is_empty() && values.items().is_empty());
        assert_eq!(values.position(r#""a""#), None);
        assert!(KeyValues::new().is_empty());
    }

    #[test]
    fn the_text_is_not_reallocated() {
        let values = of(&[(r#""key""#, r#"{"x":"y"}"#)]);
        assert_eq!(values.items(), r#"{"key":"key","value":{"x":"y"}}"#);
        assert_eq!(values.position(r#""key""#), Some(0));
    }
}
