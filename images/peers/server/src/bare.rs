//! `/bare/PEER?n=N`: runs of a peer in a row, without network between them.

use std::io::{self, Write};
use std::time::Instant;

use crate::peer::Peer;

/// Most runs in one request.
const RUNS_MAX: usize = 1_000_000;

/// Runs a peer as often as the query says, and appends how long each run took:
/// `{"nanoseconds":[1470000,…]}`.
///
/// # Errors
/// If the query is not `n=N`, or a run fails.
pub fn run(peer: &Peer, query: &str, output: &mut Vec<u8>) -> io::Result<()> {
    let runs: Option<usize> = query.strip_prefix("n=").and_then(|runs| runs.parse().ok());
    let runs = runs.filter(|runs| (1..=RUNS_MAX).contains(runs));
    let runs = runs.ok_or_else(|| io::Error::other(format!("n=1 to n={RUNS_MAX} is expected")))?;
    let mut durations = Vec::with_capacity(runs);
    let mut answer = Vec::new();
    for _ in 0..runs {
        answer.clear();
        let begin = Instant::now();
        peer.run(&mut answer)?;
        durations.push(begin.elapsed().as_nanos());
    }
    output.extend(b"{\"nanoseconds\":");
    for (index, duration) in durations.iter().enumerate() {
        let separator = if index == 0 { '[' } else { ',' };
        write!(output, "{separator}{duration}")?;
    }
    output.extend(b"]}");
    Ok(())
}
