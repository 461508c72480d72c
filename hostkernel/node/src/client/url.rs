//! Addresses on the web, as far as the node goes there.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use limits::{HOST_LEN_MAX, URL_LEN_MAX};

/// An address: `http://host:port/target`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Name or IPv4 address.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
    /// Path and query.
    pub target: String,
}

/// Why an address leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlReject {
    /// It wants TLS, which the node does not speak.
    Tls,
    /// It is none, or too long.
    Malformed,
}

impl Url {
    /// Reads what a server says where to go, seen from here: a whole address, or a path on the same
    /// server.
    ///
    /// # Errors
    /// [`UrlReject`]
    pub fn join(&self, location: &str) -> Result<Self, UrlReject> {
        let is_good = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        let location = location.split('#').next().unwrap_or_default();
        if location.len() > URL_LEN_MAX || !location.bytes().all(is_good) {
            return Err(UrlReject::Malformed);
        }
        if location.starts_with('/') && !location.starts_with("//") {
            return Ok(Self { target: location.into(), ..self.clone() });
        }
        Self::parse(location)
    }

    /// Reads a whole address.
    ///
    /// # Errors
    /// [`UrlReject`]
    pub fn parse(text: &str) -> Result<Self, UrlReject> {
        const MALFORMED: UrlReject = UrlReject::Malformed;
        let (scheme, rest) = text.split_once("://").ok_or(MALFORMED)?;
        if scheme.eq_ignore_ascii_case("https") {
            return Err(UrlReject::Tls);
        }
        if !scheme.eq_ignore_ascii_case("http") || text.len() > URL_LEN_MAX {
            return Err(MALFORMED);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => {
                let is_digits = port.bytes().all(|byte| byte.is_ascii_digit());
                let port = port.parse().ok().filter(|port| *port != 0 && is_digits);
                (host, port.ok_or(MALFORMED)?)
            }
            None => (authority, 80),
        };
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_host = !host.is_empty() && host.len() <= HOST_LEN_MAX && host.bytes().all(is_inner);
        let is_target = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !is_host || !is_target {
            return Err(MALFORMED);
        }
        let target = if target.starts_with('/') { target.into() } else { format!("/{target}") };
        Ok(Self { host: host.into(), port, target })
    }

    /// Whether another address is on the same server.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str, port: u16, target: &str) -> Result<Url, UrlReject> {
        Ok(Url { host: host.into(), port, target: target.into() })
    }

    #[test]
    fn addresses_are_read_and_joined() {
        assert_eq!(Url::parse("http://a.b:81/c?d=e"), url("a.b", 81, "/c?d=e"));
        assert_eq!(Url::parse("HTTP://a"), url("a", 80, "/"));
        assert_eq!(Url::parse("http://a?b"), url("a", 80, "/?b"));
        let here = Url::parse("http://a:81/x").expect("an address");
        assert_eq!(here.join("/y?z#w"), url("a", 81, "/y?z"));
        assert_eq!(here.join("http://b/y"), url("b", 80, "/y"));
        assert!(here.is_beside(&here.join("http://A:81/").expect("an address")));
        assert!(!here.is_beside(&here.join("http://a:82/").expect("an address")));
    }

    #[test]
    fn what_is_no_address_leads_nowhere() {
        let here = Url::parse("http://a/x").expect("an address");
        assert_eq!(here.join("https://a/x"), Err(UrlReject::Tls));
        let long = format!("http://a/{}", "x".repeat(URL_LEN_MAX));
        for text in [
            "",
            "x",
            "//a/x",
            "ftp://a/",
            "http://",
            "http:///x",
            "http://a:/",
            "http://a:0/",
            "http://a:65536/",
            "http://a:+1/",
            "http://u@a/",
            "http://a/\r\nX: y",
            "http://a b/",
            "http://a/\u{e9}",
            "http://[::1]/",
            &long,
        ] {
            assert_eq!(here.join(text), Err(UrlReject::Malformed), "{text:?}");
        }
    }
}
