//! What an action has, and therefore what each call must answer.

use action_abi::host::USER_END;
use action_abi::prelude::*;
use action_abi::protection::{EXECUTE, READ, WRITE};
use action_abi::{Call, CallError, IMAGE_END, IMAGE_START, PAGE_LEN, Range, Stream};

use crate::memory;

const PAGE: u64 = PAGE_LEN as u64;
/// Room for areas, which are never as many.
const AREAS_MAX: usize = 256;
/// Longest area whose pages are written and looked at: with the most areas of this length the
/// memory limit is not reached, so that no access here can end the invocation.
const AREA_LEN_WATCHED: u64 = 16 * PAGE;
/// Bytes of the log the kernel keeps.
const LOG_LEN_MAX: u64 = 64 << 10;
/// Longest report of a run, as JSON.
const REPORT_LEN_MAX: u64 = 2048;
/// Stack that is provided before memory can be short.
const STACK_TOUCHED: u64 = 8 * PAGE;

/// The rule an answer broke.
type Judged = Result<(), &'static str>;

/// Pages the action mapped, with one protection.
pub struct Area {
    pub pages: core::ops::Range<u64>,
    protection: u64,
    /// Whether each page begins and ends with its stamp; else it is zero.
    stamped: bool,
    /// Whether the pages are written and looked at.
    watched: bool,
}

/// What is known of a range.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readable {
    Yes,
    No,
    /// It is in the image, whose segments are not known here.
    Perhaps,
}

pub struct Model {
    areas: Vec<Area>,
    windows: [Range; 6],
    output: Range,
    written: u64,
    logged: u64,
}

impl Model {
    pub fn new() -> Self {
        let context = context();
        let stack_end = context.stack.address + context.stack.len;
        for page in (stack_end - STACK_TOUCHED..stack_end - PAGE).step_by(PAGE_LEN) {
            memory::read(page);
        }
        let start = core::ptr::from_ref(context) as u64;
        let environment = context.environment;
        let known = Range { address: start, len: environment.address + environment.len - start };
        Self {
            areas: Vec::with_capacity(AREAS_MAX),
            windows: [
                context.input,
                context.output,
                context.heap,
                context.stack,
                known,
                environment,
            ],
            output: context.output,
            written: 0,
            logged: 0,
        }
    }

    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    /// What the kernel mapped at the start, image apart.
    pub fn windows(&self) -> &[Range] {
        &self.windows
    }

    /// Checks the result of a call, and takes over what it changed.
    pub fn judge(&mut self, number: u64, arguments: [u64; 3], result: u64) -> Judged {
        let answer = CallError::check(result);
        let [a, b, c] = arguments;
        match Call::from_number(number) {
            None if answer == Err(CallError::UnknownCall) => Ok(()),
            None => Err("a call that does not exist answers"),
            Some(call) if call.is_for_hosts() => refused(answer, CallError::UnknownCall),
            Some(Call::Log) => self.log(a, b, c, answer),
            Some(Call::Write) => self.write(a, b, answer),
            Some(Call::Map) => self.map(a, b, answer),
            Some(Call::Unmap) => self.change(a, b, None, answer),
            Some(Call::Protect) => self.change(a, b, Some(c), answer),
            Some(Call::Flush) => self.flush(a, answer),
            Some(_) => Err("exit came back"),
        }
    }

    /// Looks at every page that is watched.
    pub fn review(&self) -> Judged {
        self.areas.iter().try_for_each(check)
    }

    /// Makes room for the report where a result was written; whether there is room.
    pub fn clear_result(&mut self) -> bool {
        // What `write` appended is the result. The report goes over the first of it, so there must
        // be as much of it as a report has, and nothing but spaces behind.
        if self.written > 0 && self.written < REPORT_LEN_MAX {
            let missing = REPORT_LEN_MAX - self.written;
            let result = memory::call(Call::Write as u64, [self.output.address, missing, 0]);
            if result != missing {
                return false;
            }
            self.written = REPORT_LEN_MAX;
        }
        memory::blank(Range { address: self.output.address, len: self.written });
        true
    }

    fn log(
        &mut self,
        address: u64,
        len: u64,
        stream: u64,
        answer: Result<u64, CallError>,
    ) -> Judged {
        if ![Stream::Stdout as u64, Stream::Stderr as u64].contains(&stream) {
            return refused(answer, CallError::BadArgument);
        }
        match answer {
            Ok(kept) if kept > len => Err("more was logged than there is"),
            Ok(kept) if self.readable(address, kept) == Readable::No => {
                Err("memory was logged that cannot be read")
            }
            Ok(kept) => {
                self.logged += kept;
                if self.logged > LOG_LEN_MAX { Err("the log has no bound") } else { Ok(()) }
            }
            Err(CallError::BadAddress) => self.unreadable(address, len.min(LOG_LEN_MAX)),
            Err(CallError::OutOfMemory) => Ok(()),
            Err(_) => Err("log answers an error it does not have"),
        }
    }

    fn write(&mut self, address: u64, len: u64, answer: Result<u64, CallError>) -> Judged {
        if self.written.checked_add(len).is_none_or(|end| end > self.output.len) {
            return refused(answer, CallError::LimitReached);
        }
        match answer {
            Ok(count) if count != len => Err("write answers another length"),
            Ok(_) if self.readable(address, len) == Readable::No => {
                Err("memory was written that cannot be read")
            }
            Ok(_) => {
                self.written += len;
                Ok(())
            }
            Err(CallError::BadAddress) => self.unreadable(address, len),
            Err(CallError::OutOfMemory) => Ok(()),
            Err(_) => Err("write answers an error it does not have"),
        }
    }

    fn flush(&self, len: u64, answer: Result<u64, CallError>) -> Judged {
        let len = if self.written > 0 { self.written } else { len };
        if len > self.output.len {
            return refused(answer, CallError::LimitReached);
        }
        match answer {
            Ok(left) if left > len => Err("more has left than there is"),
            Ok(_) => Ok(()),
            Err(_) => Err("flush answers an error it does not have"),
        }
    }

    fn map(&mut self, len: u64, bits: u64, answer: Result<u64, CallError>) -> Judged {
        let len = len.checked_next_multiple_of(PAGE).filter(|len| *len > 0);
        let (Some(len), true) = (len, is_protection(bits)) else {
            return refused(answer, CallError::BadArgument);
        };
        let start = match answer {
            Ok(start) => start,
            Err(CallError::OutOfMemory) => return Ok(()),
            Err(_) => return Err("map answers an error it does not have"),
        };
        let heap = self.windows[2];
        let is_free = start.is_multiple_of(PAGE)
            && start >= heap.address + heap.len
            && start + len <= USER_END;
        // A guard page is left between mappings.
        let at = self.areas.partition_point(|area| area.pages.start < start);
        let below = at.checked_sub(1).map(|below| self.areas[below].pages.end);
        let above = self.areas.get(at).map(|above| above.pages.start);
        if !is_free
            || below.is_some_and(|end| end + PAGE > start)
            || above.is_some_and(|above| start + len + PAGE > above)
        {
            return Err("the mapping is not where it can be");
        }
        let watched = len <= AREA_LEN_WATCHED;
        let mut area =
            Area { pages: start..start + len, protection: bits, stamped: false, watched };
        check(&area)?;
        if watched && bits & WRITE != 0 {
            area.stamped = true;
            for word in area.pages.clone().step_by(PAGE_LEN).flat_map(ends) {
                memory::write(word, stamp(word));
            }
        }
        self.areas.insert(at, area);
        Ok(())
    }

    /// `unmap`, and `protect` with the new protection.
    fn change(
        &mut self,
        address: u64,
        len: u64,
        bits: Option<u64>,
        answer: Result<u64, CallError>,
    ) -> Judged {
        let end = len.checked_next_multiple_of(PAGE).and_then(|len| address.checked_add(len));
        let known = bits.is_none_or(is_protection);
        let aligned = address.is_multiple_of(PAGE) && end.is_some_and(|end| end > address);
        let pages = address..end.unwrap_or(address);
        if !known || !aligned || !self.covers(&pages) {
            return refused(answer, CallError::BadArgument);
        }
        match answer {
            Ok(0) => self.carve(&pages, bits),
            // The notes on areas and pages take memory.
            Err(CallError::OutOfMemory) => Ok(()),
            _ => Err("unmap or protect answers what it does not have"),
        }
    }

    /// Whether areas cover the pages without a gap. They are sorted.
    fn covers(&self, pages: &core::ops::Range<u64>) -> bool {
        let mut next = pages.start;
        for area in &self.areas {
            if area.pages.contains(&next) {
                next = area.pages.end;
            }
        }
        next >= pages.end
    }

    /// Gives pages another protection, or none. All that are left must hold what they held.
    fn carve(&mut self, pages: &core::ops::Range<u64>, bits: Option<u64>) -> Judged {
        let mut index = 0;
        while index < self.areas.len() {
            let area = &self.areas[index];
            let old = area.pages.clone();
            let (start, end) = (old.start.max(pages.start), old.end.min(pages.end));
            if start >= end {
                index += 1;
                continue;
            }
            let (protection, stamped, watched) = (area.protection, area.stamped, area.watched);
            let pieces = [
                (old.start..start, Some(protection)),
                (start..end, bits),
                (end..old.end, Some(protection)),
            ];
            self.areas.remove(index);
            for (pages, protection) in pieces {
                if let Some(protection) = protection.filter(|_| !pages.is_empty()) {
                    let area = Area { pages, protection, stamped, watched };
                    check(&area)?;
                    self.areas.insert(index, area);
                    index += 1;
                }
            }
        }
        Ok(())
    }

    fn unreadable(&self, address: u64, len: u64) -> Judged {
        match self.readable(address, len) {
            Readable::Yes => Err("memory that can be read is refused"),
            _ => Ok(()),
        }
    }

    /// Whether a range can be read, page by page.
    fn readable(&self, address: u64, len: u64) -> Readable {
        let Some(end) = address.checked_add(len) else { return Readable::No };
        let mut next = address;
        let mut answer = Readable::Yes;
        while next < end {
            let window = self.windows.iter().find_map(|window| {
                let end = (window.address + window.len).next_multiple_of(PAGE);
                (window.len > 0 && (window.address..end).contains(&next)).then_some(end)
            });
            let area = self.areas.iter().find(|area| area.pages.contains(&next));
            next = match window.or(area.map(|area| area.pages.end)) {
                Some(end) => end,
                None if (IMAGE_START..IMAGE_END).contains(&next) => {
                    answer = Readable::Perhaps;
                    IMAGE_END
                }
                None => return Readable::No,
            };
        }
        answer
    }
}

fn refused(answer: Result<u64, CallError>, expected: CallError) -> Judged {
    if answer == Err(expected) { Ok(()) } else { Err("not refused, or for another reason") }
}

fn is_protection(bits: u64) -> bool {
    [READ, WRITE, READ | WRITE, EXECUTE, READ | EXECUTE].contains(&bits)
}

/// The first and the last word of a page.
fn ends(page: u64) -> [u64; 2] {
    [page, page + PAGE - 8]
}

/// What a word of a stamped page holds: tells it from every other word and from nothing.
fn stamp(address: u64) -> u64 {
    !address
}

/// Whether an area's pages hold what they must.
fn check(area: &Area) -> Judged {
    if !area.watched {
        return Ok(());
    }
    for word in area.pages.clone().step_by(PAGE_LEN).flat_map(ends) {
        let expected = if area.stamped { stamp(word) } else { 0 };
        if memory::read(word) != expected {
            return Err("memory does not hold what it must");
        }
    }
    Ok(())
}
