//! What a booting node says about its own future, read from its log as text or as JSON.

/// What a boot begins with, as text and as JSON: what an earlier one said counts no more.
const BEGINNINGS: [&str; 2] = ["INFO  hostkernel ", "\"msg\":\"hostkernel "];
/// The words before the end of a boot that ends nowhere, and what is in the same line says why.
const HALTS: [&str; 2] = ["This machine cannot serve, and halts", "it does not serve, and halts"];
/// The last line of a crash record on a node that does not restart.
const CRASH_HALTS: &str = "=== halted";
/// The words at the end of a boot.
const READY: &str = "ready after ";
/// Marks a line that names something wrong, in text and in JSON.
const ERRORS: [&str; 2] = ["ERROR", "\"level\":\"error\""];

/// What is certain about a node that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It will not serve, and says why.
    Halted(String),
    /// It serves, somewhere.
    Ready(String),
}

impl Verdict {
    /// What a log says; `None` if everything is possible yet.
    pub fn of(log: &str) -> Option<Self> {
        let begin = BEGINNINGS.iter().filter_map(|words| log.rfind(words)).max().unwrap_or(0);
        let lines = || log[begin..].lines().map(str::trim);
        let halts = |line: &str| HALTS.iter().any(|words| line.contains(words));
        if lines().any(halts) {
            // The reasons are in lines of their own, before.
            let is_reason = |line: &&str| ERRORS.iter().any(|mark| line.contains(mark));
            let words: Vec<_> = lines().filter(is_reason).collect();
            return Some(Self::Halted(words.join("\n")));
        }
        if lines().any(|line| line.starts_with(CRASH_HALTS)) {
            return Some(Self::Halted("it crashed, and halts after a crash".to_owned()));
        }
        lines().find(|line| line.contains(READY)).map(|line| Self::Ready(line.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_may_end_in_three_ways() {
        assert_eq!(Verdict::of("[0.1] INFO  cores: 2 of 2\n"), None);
        let ready = "[0.2] INFO  ready after 27400 us\r\n";
        assert_eq!(Verdict::of(ready), Some(Verdict::Ready(ready.trim().to_owned())));
        let halted = "[0.1] INFO  a\n[0.1] ERROR hostkernel.auth is UUID:KEY\n\
            [0.1] ERROR who may use this node is not clear: it does not serve, and halts\n";
        let Some(Verdict::Halted(words)) = Verdict::of(halted) else { panic!("it halts") };
        assert!(words.contains("is UUID:KEY") && !words.contains("INFO"), "{words}");
        let crash = "=== crash\n=== halted\n";
        assert!(matches!(Verdict::of(crash), Some(Verdict::Halted(_))));
    }

    #[test]
    fn what_an_earlier_boot_said_counts_no_more() {
        let log = "[0.0] INFO  hostkernel 0.1.0\n[0.2] INFO  ready after 27400 us\n\
            === crash: hostkernel 0.1.0\n=== restarting\n[0.0] INFO  hostkernel 0.1.0\n";
        assert_eq!(Verdict::of(log), None);
        assert!(Verdict::of(&format!("{log}[0.2] INFO  ready after 1 us\n")).is_some());
    }

    #[test]
    fn json_is_read_as_well() {
        let halted = "{\"ts\":1,\"level\":\"error\",\
            \"msg\":\"no card. This machine cannot serve, and halts\"}\n";
        let Some(Verdict::Halted(words)) = Verdict::of(halted) else { panic!("it halts") };
        assert!(words.contains("no card"), "{words}");
    }
}
