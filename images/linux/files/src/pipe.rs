//! Pipes: Linux' rings of pages (`fs/pipe.c`), byte by byte the same to their users.
//!
//! What counts as full there is not bytes but pages: a write is put behind the last one if it fits
//! into that page, and takes new pages otherwise. A write of at most one page is atomic by that.

use alloc::collections::VecDeque;

use crate::limits::PAGE_LEN;

#[derive(Debug)]
pub struct Pipe {
    bytes: VecDeque<u8>,
    pages: VecDeque<Page>,
    pages_max: usize,
    pub readers: u32,
    pub writers: u32,
    /// Grow with everything that may wake one who waits to read, or to write.
    pub readable_edges: u32,
    pub writable_edges: u32,
}

#[derive(Clone, Copy, Debug)]
struct Page {
    /// Where the next byte would be put.
    end: usize,
    /// Bytes still to be read.
    len: usize,
}

impl Pipe {
    pub fn new(pages_max: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            pages: VecDeque::new(),
            pages_max,
            readers: 1,
            writers: 1,
            readable_edges: 0,
            writable_edges: 0,
        }
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What it may hold.
    pub fn capacity(&self) -> usize {
        self.pages_max * PAGE_LEN
    }

    pub fn is_full(&self) -> bool {
        self.pages.len() >= self.pages_max
    }

    /// Changes what it may hold; false if more is in use.
    pub fn set_pages_max(&mut self, pages_max: usize) -> bool {
        let fits = self.pages.len() <= pages_max;
        if fits {
            self.pages_max = pages_max;
            // There may be more room than before; Linux does not look whether there is.
            self.writable_edges = self.writable_edges.wrapping_add(1);
        }
        fits
    }

    /// Takes bytes out; as many as there are.
    pub fn read(&mut self, bytes: &mut [u8]) -> usize {
        let was_full = self.is_full();
        let count = bytes.len().min(self.bytes.len());
        let (first, second) = self.bytes.as_slices();
        let from_first = first.len().min(count);
        bytes[..from_first].copy_from_slice(&first[..from_first]);
        bytes[from_first..count].copy_from_slice(&second[..count - from_first]);
        self.bytes.drain(..count);
        let mut rest = count;
        while rest > 0
            && let Some(page) = self.pages.front_mut()
        {
            let taken = page.len.min(rest);
            page.len -= taken;
            rest -= taken;
            if page.len == 0 {
                self.pages.pop_front();
            }
        }
        if self.bytes.is_empty() {
            // What is not in use takes no memory: a frozen pipe is an empty one.
            self.bytes = VecDeque::new();
        }
        if was_full && !self.is_full() {
            self.writable_edges = self.writable_edges.wrapping_add(1);
        }
        count
    }

    /// Puts bytes in; as many as there is room for.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        let odd = bytes.len() % PAGE_LEN;
        if odd > 0
            && let Some(last) = self.pages.back_mut()
            && last.end + odd <= PAGE_LEN
        {
            last.end += odd;
            last.len += odd;
            done = odd;
        }
        while done < bytes.len() && !self.is_full() {
            let len = (bytes.len() - done).min(PAGE_LEN);
            self.pages.push_back(Page { end: len, len });
            done += len;
        }
        self.bytes.extend(&bytes[..done]);
        if done > 0 {
            self.readable_edges = self.readable_edges.wrapping_add(1);
        }
        done
    }
}
