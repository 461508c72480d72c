//! Who sends a request: `Authorization: Basic` against the keys of the configuration.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use super::error::Reject;
use super::query::decode_segment;
use crate::registry::Namespace;

/// The key of every OpenWhisk tutorial: the development default, no secret.
pub const GUEST_KEY: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:\
    123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP";
/// The namespace that goes with it.
pub const GUEST: &str = "guest";

/// One who has a key.
#[derive(Debug)]
pub struct Tenant {
    /// Whose actions the key opens.
    pub namespace: Namespace,
    // The key as it is sent, in base64: requests are compared without decoding them.
    credentials: String,
}

/// All keys of the node.
#[derive(Debug, Default)]
pub struct Tenants(Vec<Tenant>);

impl Tenants {
    /// Nobody.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The development default: namespace `guest` with the public key.
    #[must_use]
    pub fn development() -> Self {
        let mut tenants = Self::new();
        tenants.add(Namespace::new(GUEST), GUEST_KEY);
        tenants
    }

    /// Adds a namespace with a key of the form `uuid:key`.
    pub fn add(&mut self, namespace: Namespace, key: &str) {
        self.0.push(Tenant { namespace, credentials: STANDARD.encode(key) });
    }

    /// Whose key an `Authorization` header carries.
    ///
    /// # Errors
    /// [`Reject::NoKey`], [`Reject::WrongKey`].
    pub fn authenticate(&self, header: Option<&str>) -> Result<&Tenant, Reject> {
        let (scheme, sent) =
            header.ok_or(Reject::NoKey)?.split_once(' ').ok_or(Reject::WrongKey)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(Reject::WrongKey);
        }
        let sent = sent.trim_ascii().as_bytes();
        // All keys are looked at, so that time does not tell which one was nearly right.
        let mut found = None;
        for tenant in &self.0 {
            if equal(tenant.credentials.as_bytes(), sent) {
                found = Some(tenant);
            }
        }
        found.ok_or(Reject::WrongKey)
    }
}

impl Tenant {
    /// Whether a namespace in a path is the tenant's own; `_` always is.
    ///
    /// # Errors
    /// [`Reject::ForeignNamespace`], [`Reject::Encoding`].
    pub fn check_namespace(&self, segment: &str) -> Result<(), Reject> {
        let namespace = decode_segment(segment).ok_or(Reject::Encoding)?;
        if namespace == "_" || namespace == self.namespace.as_str() {
            Ok(())
        } else {
            Err(Reject::ForeignNamespace)
        }
    }
}

/// Compares in a time that depends on the lengths only, which are no secret. Differences are
/// gathered eight bytes at a time and judged once: `subtle`'s own comparison of slices puts a
/// barrier behind each byte, which for a key of 136 characters costs more than the route lookup.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    let (a_words, a_tail) = a.as_chunks();
    let (b_words, b_tail) = b.as_chunks();
    let words = a_words.iter().zip(b_words).fold(0, |difference, (a, b)| {
        difference | (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b))
    });
    let tails = a_tail.iter().zip(b_tail).fold(0, |difference, (a, b)| difference | (a ^ b));
    a.len() == b.len() && (words | u64::from(tails)).ct_eq(&0).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn header(key: &str) -> String {
        format!("Basic {}", STANDARD.encode(key))
    }

    #[test]
    fn the_right_key_opens_its_namespace() {
        let mut tenants = Tenants::development();
        tenants.add(Namespace::new("other"), "u:k");
        let of = |header: &str| Ok(tenants.authenticate(Some(header))?.namespace.as_str());
        let is = |result: Result<&str, Reject>, name| matches!(result, Ok(found) if found == name);
        assert!(is(of(&header(GUEST_KEY)), "guest"));
        assert!(is(of(&header("u:k")), "other"));
        assert!(is(of(&header("u:k").replace("Basic", "bAsIc ")), "other"));
    }

    #[test]
    fn everything_else_is_refused() {
        let tenants = Tenants::development();
        assert!(matches!(tenants.authenticate(None), Err(Reject::NoKey)));
        let right = header(GUEST_KEY);
        for wrong in [
            "",
            "Basic",
            "Basic ",
            "Bearer x",
            "Basic !!!!",
            "Basic Og==",
            GUEST_KEY,
            &header("guest:guest"),
            &header(&GUEST_KEY[1..]),
            &header(&format!("{GUEST_KEY}x")),
            &right[..right.len() - 1],
            &format!("{right}A"),
            &right.replace("Basic ", "Basic"),
            &right.to_lowercase(),
            &right.replace('M', "N"),
        ] {
            assert!(matches!(tenants.authenticate(Some(wrong)), Err(Reject::WrongKey)), "{wrong}");
        }
        assert!(matches!(Tenants::new().authenticate(Some(&right)), Err(Reject::WrongKey)));
    }

    #[test]
    fn one_differing_byte_anywhere_is_seen() {
        let key = b"0123456789abcdefghi";
        for len in 0..key.len() {
            let mut other = key[..len].to_vec();
            assert!(equal(&key[..len], &other));
            for at in 0..len {
                other[at] ^= 0x80;
                assert!(!equal(&key[..len], &other));
                other[at] ^= 0x80;
            }
        }
        assert!(!equal(key, &key[1..]) && !equal(b"", b"a"));
    }

    #[test]
    fn a_tenant_has_one_namespace() {
        let tenants = Tenants::development();
        let guest = tenants.authenticate(Some(&header(GUEST_KEY))).expect("the key is right");
        for own in ["_", "guest", "%5F", "gues%74"] {
            assert!(guest.check_namespace(own).is_ok(), "{own}");
        }
        for foreign in ["", "other", "Guest", "guest%00", "..", "__"] {
            assert!(matches!(guest.check_namespace(foreign), Err(Reject::ForeignNamespace)));
        }
        assert!(matches!(guest.check_namespace("%"), Err(Reject::Encoding)));
    }
}
