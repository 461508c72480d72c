//! Who sends a request: `Authorization: Basic` against the keys of the configuration.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use crate::registry::{Namespace, Quotas};
use crate::settings::{AccessSettings, GUEST, NamespaceSettings};

/// The key of every OpenWhisk tutorial: the development default, no secret.
pub const GUEST_KEY: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:\
    123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP";

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyReject {
    /// There is no key.
    Missing,
    /// There is a key, but none of ours.
    Wrong,
    /// The namespace is not the caller's.
    ForeignNamespace,
    /// The key is not the administrator's.
    NotAdministrator,
    /// There is no administrator: the node has keys, and none for that.
    NoAdministrator,
}

impl KeyReject {
    /// What to say to who has no key or a wrong one.
    #[must_use]
    pub const fn unauthorized(sent: bool) -> Self {
        if sent { Self::Wrong } else { Self::Missing }
    }
}

/// One who has a key.
#[derive(Debug)]
pub struct Tenant {
    /// Whose actions the key opens.
    pub namespace: Namespace,
    credentials: Credentials,
}

/// A key as it is sent, in base64: requests are compared without decoding them.
struct Credentials(String);

/// All keys of the node.
#[derive(Debug)]
pub struct Tenants {
    list: Vec<Tenant>,
    /// The namespace that is there also if it has no key.
    guest: Namespace,
    /// `None` if nobody is the administrator.
    admin: Option<Credentials>,
}

impl Tenants {
    /// What the operator decided.
    #[must_use]
    pub fn new(access: &AccessSettings) -> Self {
        if access.is_development() {
            let (guest, key) = (Namespace::new(GUEST), || Credentials::new(GUEST_KEY));
            let tenant = Tenant { namespace: guest.clone(), credentials: key() };
            return Self { list: vec![tenant], guest, admin: Some(key()) };
        }
        let tenant = |(number, settings): (usize, &NamespaceSettings)| Tenant {
            namespace: Namespace::numbered(&settings.name, settings.quotas, number),
            credentials: Credentials::new(settings.key.expose()),
        };
        let list: Vec<Tenant> = access.namespaces.iter().enumerate().map(tenant).collect();
        let guest = list.iter().find(|tenant| tenant.namespace.as_str() == GUEST);
        let keyless = || Namespace::numbered(GUEST, Quotas::default(), list.len());
        let guest = guest.map_or_else(keyless, |guest| guest.namespace.clone());
        let admin = access.admin_key.as_ref().map(|key| Credentials::new(key.expose()));
        Self { list, guest, admin }
    }

    /// How many namespaces there are, with a key or without.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list.len().max(self.guest.number() + 1)
    }

    /// Whether there is more than one.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.list.len() > 1
    }

    /// The namespace of this name, which is one with a key or [`GUEST`].
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<Namespace> {
        let all = self.list.iter().map(|tenant| &tenant.namespace).chain([&self.guest]);
        all.into_iter().find(|namespace| namespace.as_str() == name).cloned()
    }

    /// Whose key an `Authorization` header carries.
    ///
    /// # Errors
    /// [`KeyReject::Missing`], [`KeyReject::Wrong`].
    pub fn authenticate(&self, header: Option<&str>) -> Result<&Tenant, KeyReject> {
        let sent = sent_credentials(header)?;
        // All keys are looked at, so that time does not tell which one was nearly right.
        let mut found = None;
        for tenant in &self.list {
            if tenant.credentials.are(sent) {
                found = Some(tenant);
            }
        }
        found.ok_or(KeyReject::Wrong)
    }

    /// Whether an `Authorization` header carries the administrator's key. While nobody configured
    /// any key, that is the development key; else there is no administrator until one is named.
    #[must_use]
    pub fn is_admin(&self, header: Option<&str>) -> bool {
        let Some(admin) = &self.admin else { return false };
        sent_credentials(header).is_ok_and(|sent| admin.are(sent))
    }

    /// Asks for the administrator's key.
    ///
    /// # Errors
    /// What is wrong with the header. Only who has the key of a namespace is told more than that.
    pub fn authorize_admin(&self, header: Option<&str>) -> Result<(), KeyReject> {
        if self.is_admin(header) {
            return Ok(());
        }
        self.authenticate(header)?;
        Err(match self.admin {
            Some(_) => KeyReject::NotAdministrator,
            None => KeyReject::NoAdministrator,
        })
    }
}

/// What stands behind `Basic`.
fn sent_credentials(header: Option<&str>) -> Result<&[u8], KeyReject> {
    let (scheme, sent) =
        header.ok_or(KeyReject::Missing)?.split_once(' ').ok_or(KeyReject::Wrong)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(KeyReject::Wrong);
    }
    Ok(sent.trim_ascii().as_bytes())
}

impl Credentials {
    fn new(key: &str) -> Self {
        Self(STANDARD.encode(key))
    }

    fn are(&self, sent: &[u8]) -> bool {
        equal(self.0.as_bytes(), sent)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl fmt::Display for KeyReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => {
                "The resource requires authentication, which was not supplied with the request."
            }
            Self::Wrong => "The supplied authentication is invalid.",
            Self::ForeignNamespace | Self::NotAdministrator => {
                "The supplied authentication is not authorized to access this resource."
            }
            Self::NoAdministrator => {
                "This node has no administrator: its settings have no hostkernel.admin_key."
            }
        })
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
    use crate::api::tests::tenants;
    use alloc::format;

    fn header(key: &str) -> String {
        format!("Basic {}", STANDARD.encode(key))
    }

    #[test]
    fn the_right_key_opens_its_namespace() {
        let tenants = tenants("hostkernel.namespace=other,key=u:k hostkernel.auth=g:k");
        let of = |header: &str| Ok(tenants.authenticate(Some(header))?.namespace.as_str());
        let is =
            |result: Result<&str, KeyReject>, name| matches!(result, Ok(found) if found == name);
        assert!(is(of(&header("g:k")), "guest"));
        assert!(is(of(&header("u:k")), "other"));
        assert!(is(of(&header("u:k").replace("Basic", "bAsIc ")), "other"));
    }

    #[test]
    fn everything_else_is_refused() {
        let development = tenants("");
        assert!(matches!(development.authenticate(None), Err(KeyReject::Missing)));
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
            assert!(
                matches!(development.authenticate(Some(wrong)), Err(KeyReject::Wrong)),
                "{wrong}"
            );
        }
        for configured in ["hostkernel.namespace=a,key=u:k", "hostkernel.admin_key=u:k"] {
            let tenants = tenants(configured);
            let result = tenants.authenticate(Some(&right));
            assert!(matches!(result, Err(KeyReject::Wrong)), "{configured}");
        }
    }

    #[test]
    fn the_administrator_is_named_or_whoever_develops() {
        let admin = |words: &str, key: &str| tenants(words).authorize_admin(Some(&header(key)));
        assert_eq!(admin("", GUEST_KEY), Ok(()));
        assert_eq!(admin("", "u:k"), Err(KeyReject::Wrong));
        assert_eq!(tenants("").authorize_admin(None), Err(KeyReject::Missing));
        assert_eq!(admin("hostkernel.admin_key=u:k", "u:k"), Ok(()));
        assert_eq!(admin("hostkernel.admin_key=u:k", GUEST_KEY), Err(KeyReject::Wrong));
        let words = "hostkernel.auth=u:k hostkernel.admin_key=a:k";
        assert_eq!(admin(words, "u:k"), Err(KeyReject::NotAdministrator));
        for words in ["hostkernel.auth=u:k", "hostkernel.namespace=a,key=u:k"] {
            assert_eq!(admin(words, GUEST_KEY), Err(KeyReject::Wrong), "{words}");
            assert_eq!(admin(words, "u:k"), Err(KeyReject::NoAdministrator), "{words}");
        }
    }

    #[test]
    fn guest_is_there_without_a_key_but_nobody_gets_in() {
        let tenants = tenants("hostkernel.namespace=a,key=u:k");
        assert!(tenants.namespace("guest").is_some() && tenants.namespace("b").is_none());
        let a = tenants.authenticate(Some(&header("u:k"))).expect("the key is right");
        assert_eq!(a.namespace, Namespace::new("a"));
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
}
