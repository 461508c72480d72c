//! Who the node is to the registry: nobody, a user, or who has a token.
//!
//! A registry says by a challenge what it wants. With `Basic` the user's password is sent along
//! from then on; with `Bearer` a token server is asked, which gets the password, and the registry
//! sees nothing but the token.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::client::url::{Url, UrlReject};
use crate::json::Json;
use crate::settings::Secret;
use limits::{TOKEN_LEN_MAX, TOKEN_LIFE_S, TOKENS_MAX};

const NS_PER_S: u64 = 1_000_000_000;

/// See the head of this file.
pub struct Credentials {
    basic: Option<Box<str>>,
    /// The registry wants the password itself.
    wants_basic: bool,
    tokens: Vec<Token>,
}

struct Token {
    repository: Box<str>,
    value: Box<str>,
    until_ns: u64,
}

/// What a registry wants before it answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Challenge {
    /// The password.
    Basic,
    /// A token, which is to be had here.
    Bearer(Url),
}

/// Why that cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsReject {
    /// There is no challenge, or one that the node does not know.
    Unknown,
    /// The token server speaks TLS.
    Tls,
    /// What it answers is no token.
    Token,
    /// The registry, or the token server, does not accept who the node is.
    Denied,
}

impl Credentials {
    /// The user of the configuration, or nobody.
    #[must_use]
    pub fn new(secret: Option<&Secret>) -> Self {
        let basic = secret.map(|secret| format!("Basic {}", STANDARD.encode(secret.expose())));
        Self { basic: basic.map(Into::into), wants_basic: false, tokens: Vec::new() }
    }

    /// What to send along to a repository.
    pub fn of(&mut self, repository: &str, now_ns: u64) -> Option<Box<str>> {
        self.tokens.retain(|token| token.until_ns > now_ns);
        if let Some(token) = self.tokens.iter().find(|token| *token.repository == *repository) {
            return Some(token.value.clone());
        }
        self.basic.clone().filter(|_| self.wants_basic)
    }

    /// What to send along to a token server.
    #[must_use]
    pub fn password(&self) -> Option<Box<str>> {
        self.basic.clone()
    }

    /// Follows a challenge. What was sent before was not enough.
    ///
    /// # Errors
    /// [`CredentialsReject`]
    pub fn follow(
        &mut self,
        header: Option<&str>,
        repository: &str,
    ) -> Result<Challenge, CredentialsReject> {
        self.tokens.retain(|token| *token.repository != *repository);
        let challenge = challenge(header.unwrap_or_default())?;
        if challenge == Challenge::Basic {
            if self.basic.is_none() || self.wants_basic {
                return Err(CredentialsReject::Denied);
            }
            self.wants_basic = true;
        }
        Ok(challenge)
    }

    /// Takes a token server's answer.
    ///
    /// # Errors
    /// [`CredentialsReject::Token`]
    pub fn learn(
        &mut self,
        repository: &str,
        body: &[u8],
        now_ns: u64,
    ) -> Result<(), CredentialsReject> {
        let read =
            Json::read(body).and_then(|json| json.pick(["token", "access_token", "expires_in"]));
        let [token, other, life] = read.map_err(|_| CredentialsReject::Token)?;
        let token = token.or(other).and_then(|token| token.string(TOKEN_LEN_MAX).ok());
        let token = token.ok_or(CredentialsReject::Token)?;
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CredentialsReject::Token);
        }
        let life_s = life.and_then(Json::unsigned).unwrap_or(TOKEN_LIFE_S).min(3600);
        if self.tokens.len() == TOKENS_MAX {
            self.tokens.remove(0);
        }
        self.tokens.push(Token {
            repository: repository.into(),
            value: format!("Bearer {token}").into(),
            // A little less, so that none ends on its way.
            until_ns: now_ns + (life_s * NS_PER_S / 10 * 9),
        });
        Ok(())
    }
}

/// Reads `WWW-Authenticate` (RFC 9110, 11.6.1; RFC 6750, 3).
fn challenge(header: &str) -> Result<Challenge, CredentialsReject> {
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Ok(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(CredentialsReject::Unknown);
    }
    let realm = parameter(rest, "realm").ok_or(CredentialsReject::Unknown)?;
    let mut target = String::from(realm);
    for name in ["service", "scope"] {
        if let Some(value) = parameter(rest, name) {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(name);
            target.push('=');
            push_encoded(&mut target, value);
        }
    }
    Url::parse(&target).map(Challenge::Bearer).map_err(|reject| match reject {
        UrlReject::Tls => CredentialsReject::Tls,
        UrlReject::Malformed => CredentialsReject::Unknown,
    })
}

/// The value of `name="value"` in a list.
fn parameter<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    loop {
        let (found, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        if found.trim_start_matches([',', ' ']).eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
}

fn push_encoded(out: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/,".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_leads_to_the_token_server() {
        let header = "Bearer realm=\"http://auth:5001/token?a=b\",service=\"my registry\",\
                      scope=\"repository:p/guest:pull,push\",error=\"invalid_token\"";
        let target = "/token?a=b&service=my%20registry&scope=repository:p/guest:pull,push";
        let url = Url { host: "auth".into(), port: 5001, target: target.into() };
        assert_eq!(challenge(header), Ok(Challenge::Bearer(url)));
        assert_eq!(challenge("Basic realm=\"x\""), Ok(Challenge::Basic));
        assert_eq!(challenge("bearer realm=\"https://a/\""), Err(CredentialsReject::Tls));
        for header in [
            "",
            "Bearer",
            "Bearer realm=x",
            "Bearer realm=\"",
            "Digest a=\"b\"",
            "Bearer realm=\"\"",
        ] {
            assert_eq!(challenge(header), Err(CredentialsReject::Unknown), "{header}");
        }
    }

    #[test]
    fn a_token_holds_for_its_repository_and_its_time() {
        let mut credentials = Credentials::new(Secret::new("u:p").as_ref());
        assert_eq!(credentials.of("a", 0), None, "nobody has asked");
        credentials.learn("a", br#"{"access_token":"t","expires_in":100}"#, 0).expect("a token");
        assert_eq!(credentials.of("a", 89 * NS_PER_S).as_deref(), Some("Bearer t"));
        assert_eq!(credentials.of("b", 0), None);
        assert_eq!(credentials.of("a", 90 * NS_PER_S), None);
        for body in
            [&b""[..], b"{}", b"{\"token\":7}", b"{\"token\":\"\"}", b"{\"token\":\"a\\r\\nb\"}"]
        {
            assert_eq!(credentials.learn("a", body, 0), Err(CredentialsReject::Token));
        }
        assert_eq!(credentials.follow(Some("Basic"), "a"), Ok(Challenge::Basic));
        assert_eq!(credentials.of("a", 0).as_deref(), Some("Basic dTpw"));
        assert_eq!(
            credentials.follow(Some("Basic"), "a"),
            Err(CredentialsReject::Denied),
            "it was sent"
        );
        assert_eq!(
            Credentials::new(None).follow(Some("Basic"), "a"),
            Err(CredentialsReject::Denied)
        );
    }
}
