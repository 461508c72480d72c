//! A host for tests.

use linux_files::{Errno, Host, Memory, Region, Sink, Time};

/// A host without surprises: its clock moves by a nanosecond with each look.
#[derive(Debug, Default)]
pub struct Still {
    pub now_ns: u64,
    pub output: Vec<(Sink, Vec<u8>)>,
}

impl Host for Still {
    fn realtime(&mut self) -> Time {
        let now_ns = self.monotonic_ns();
        Time {
            seconds: 1_000_000_000 + (now_ns / 1_000_000_000) as i64,
            nanoseconds: (now_ns % 1_000_000_000) as u32,
        }
    }

    fn monotonic_ns(&mut self) -> u64 {
        self.now_ns += 1;
        self.now_ns
    }

    fn random(&mut self, bytes: &mut [u8]) {
        bytes.fill(4);
    }

    fn output(&mut self, sink: Sink, bytes: &[u8]) -> Result<usize, Errno> {
        self.output.push((sink, bytes.to_vec()));
        Ok(bytes.len())
    }

    fn regions(&self, each: &mut dyn FnMut(&Region<'_>)) {
        let code = Region {
            start: 0x40_0000,
            end: 0x40_1000,
            protection: 5,
            is_shared: false,
            offset: 0,
            name: b"/app/exec",
        };
        each(&code);
        let anonymous =
            Region { start: 0x7fff_0000, end: 0x7fff_8000, protection: 3, name: b"", ..code };
        each(&anonymous);
    }

    fn memory(&self) -> Memory {
        Memory { total: 128 << 20, available: 100 << 20, mapped: 8 << 20, resident: 1 << 20 }
    }

    fn process_id(&self) -> u32 {
        42
    }

    fn command_line(&self) -> &[u8] {
        b"exec\0--flag\0"
    }

    fn environment(&self) -> &[u8] {
        b"A=1\0B=2\0"
    }

    fn executable(&self) -> &[u8] {
        b"/app/exec"
    }

    fn processor(&self) -> &[u8] {
        b"vendor_id\t: hostkernel\n"
    }
}
