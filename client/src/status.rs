//! The statuses a node answers with, and what each means to who asked: `docs/api.md` as a table.

/// What a status says about the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It was done, or is being done.
    Done,
    /// It was refused, and nothing happened.
    Refused,
    /// It was refused because the node, or the caller's quota, has no room now: nothing ran.
    Overloaded,
    /// An action ran, and failed.
    ActionFailed,
}

/// A status, what it means, and what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// HTTP status.
    pub status: u16,
    /// What it means.
    pub meaning: Meaning,
    /// What to do, as the end of a sentence; empty if that is said elsewhere.
    pub advice: &'static str,
}

const fn known(status: u16, meaning: Meaning, advice: &'static str) -> Known {
    Known { status, meaning, advice }
}

/// All statuses that come from a node, and not from an action that chooses its own.
pub const STATUSES: [Known; 22] = {
    use Meaning::{ActionFailed, Done, Overloaded, Refused};
    const LATER: &str = "try again in a moment";
    [
        known(200, Done, ""),
        known(201, Done, ""),
        known(202, Done, ""),
        known(204, Done, ""),
        known(400, Refused, ""),
        known(401, Refused, "check the key"),
        known(403, Refused, ""),
        known(404, Refused, ""),
        known(405, Refused, "the node may be older or newer than this program"),
        known(408, Refused, "the way to the node is slow, or it is busy"),
        known(409, Refused, "allow overwriting to replace it"),
        known(413, Refused, "send less"),
        known(414, Refused, "a name or query is too long"),
        known(416, Refused, ""),
        known(417, Refused, "something between here and the node changed the request"),
        known(429, Overloaded, LATER),
        known(431, Refused, "a name, query or key is too long"),
        known(501, Refused, ""),
        known(502, ActionFailed, ""),
        known(503, Overloaded, LATER),
        known(505, Refused, "something between here and the node changed the request"),
        // Not in a table of what goes wrong, but an interim answer that tools by hand may see.
        known(100, Done, ""),
    ]
};

impl Known {
    /// What is known of a status; `None` if no node answers with it.
    #[must_use]
    pub fn of(status: u16) -> Option<&'static Self> {
        STATUSES.iter().find(|known| known.status == status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statuses of the rows of a table whose first column has numbers.
    fn documented() -> Vec<(u16, String)> {
        let page = include_str!("../../docs/api.md");
        let rows = page.lines().filter_map(|line| {
            let (statuses, when) = line.strip_prefix("| ")?.split_once(" | ")?;
            let numbers: Option<Vec<u16>> =
                statuses.split(", ").map(|number| number.parse().ok()).collect();
            Some(numbers?.into_iter().map(|number| (number, when.to_owned())))
        });
        rows.flatten().collect()
    }

    #[test]
    fn every_documented_status_is_known_and_means_what_the_page_says() {
        let documented = documented();
        assert_eq!(documented.len(), 17, "{documented:?}");
        for (status, when) in &documented {
            let known = Known::of(*status).unwrap_or_else(|| panic!("{status} is not known"));
            let expected = match when {
                _ if *status == 502 => Meaning::ActionFailed,
                when if when.contains("`Retry-After`") => Meaning::Overloaded,
                _ => Meaning::Refused,
            };
            assert_eq!(known.meaning, expected, "{status}: {when}");
        }
        let of_errors = STATUSES.iter().filter(|known| known.status >= 400);
        assert!(
            of_errors.clone().all(|known| documented.iter().any(|(it, _)| *it == known.status))
        );
        assert_eq!(of_errors.count(), documented.len());
    }

    #[test]
    fn what_no_node_says_is_not_known() {
        for status in [0, 101, 203, 301, 402, 418, 500, 504, 599] {
            assert_eq!(Known::of(status), None);
        }
    }
}
