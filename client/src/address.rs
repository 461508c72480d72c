//! Where a node is: `10.0.0.5:3233`, `http://edge.example/behind/a/balancer`, `[fd00::5]:3233`.

use std::fmt;

/// Port of `http://` addresses that name none.
const PORT: u16 = 80;

/// The parts of a node's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or number, an IPv6 one in brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What goes in front of every path: empty, or from a slash to the last letter.
    pub prefix: String,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme than `http`.
    #[error("nodes speak plain http://; in front of them a balancer can speak https://")]
    Scheme,
    /// Nothing where the host should be, or characters no host has.
    #[error("it names no host; write HOST:PORT, for instance 10.0.0.5:3233")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("its port is no number from 1 to 65535")]
    Port,
    /// A query or fragment.
    #[error("an address ends before `?` and `#`")]
    Query,
}

impl Address {
    /// Reads an address; the scheme may be missing.
    ///
    /// # Errors
    /// [`AddressError`]
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return Err(AddressError::Scheme),
            None => text,
        };
        if rest.contains(['?', '#']) {
            return Err(AddressError::Query);
        }
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // The colons of an IPv6 address are inside its brackets.
        let colon = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
        let port = match port.strip_prefix(':') {
            None => PORT,
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(AddressError::Port)?,
        };
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match inner {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                let usual = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
                !host.is_empty() && host.chars().all(usual)
            }
        };
        let is_prefix = prefix.chars().all(|letter| letter.is_ascii_graphic());
        if !is_host || !is_prefix {
            return Err(AddressError::Host);
        }
        Ok(Self { host: host.to_owned(), port, prefix: prefix.trim_end_matches('/').to_owned() })
    }

    /// Host and port, as a resolver takes them and `Host` names them.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}:{}{}", self.host, self.port, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_read() {
        for (text, expected) in [
            ("10.0.0.5:3233/", "http://10.0.0.5:3233"),
            ("http://node", "http://node:80"),
            ("node.example/base/", "http://node.example:80/base"),
            ("[fd00::5]:3233", "http://[fd00::5]:3233"),
            ("http://[::1]", "http://[::1]:80"),
        ] {
            assert_eq!(Address::parse(text).expect(text).to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for (text, expected) in [
            ("https://node", AddressError::Scheme),
            ("ftp://node", AddressError::Scheme),
            ("", AddressError::Host),
            ("http://", AddressError::Host),
            (":3233", AddressError::Host),
            ("fd00::5:3233", AddressError::Host),
            ("[nonsense]:1", AddressError::Host),
            ("a b", AddressError::Host),
            ("user@node", AddressError::Host),
            ("node:port", AddressError::Port),
            ("node:0", AddressError::Port),
            ("node:65536", AddressError::Port),
            ("node?x", AddressError::Query),
        ] {
            assert_eq!(Address::parse(text), Err(expected), "{text}");
        }
    }
}
